import { readFile } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import type { BuildOptions, Plugin } from 'esbuild'

/**
 * koffi finds its native part by paths that a bundle lacks. The native part
 * alone has all that we use, so the bundle requires `koffi.node` beside itself;
 * that also saves 12 ms at each start.
 */
const nativeKoffiBeside: Plugin = {
  name: 'native-koffi-beside',
  setup(build) {
    build.onResolve({ filter: /^koffi$/ }, () => ({ path: './koffi.node', external: true }))
  },
}

const leftOut = `
function leftOut() { throw new Error('undici is not in this bundle: kube/transport.ts asks the API server') }
Object.assign(exports, { Agent: leftOut, ProxyAgent: leftOut, fetch: leftOut })`

/** Of client-node we use what knows kubeconfigs; its own requests go through undici, which takes 3 MB of memory for nothing. */
export const withoutUndici: Plugin = {
  name: 'without-undici',
  setup(build) {
    const namespace = 'left-out'
    build.onResolve({ filter: /^undici$/ }, ({ path }) => ({ path, namespace }))
    build.onLoad({ filter: /.*/, namespace }, () => ({ contents: leftOut, loader: 'js' }))
  },
}

/** commander would load what starts processes with each of its programs; none of ours has subcommands that are programs. */
const withoutProcessesOfCommander: Plugin = {
  name: 'without-processes-of-commander',
  setup(build) {
    const namespace = 'no-processes'
    build.onResolve({ filter: /^node:child_process$/ }, ({ path, importer }) =>
      importer.includes('/node_modules/commander/') ? { path, namespace } : undefined,
    )
    build.onLoad({ filter: /.*/, namespace }, () => ({ contents: '', loader: 'js' }))
  },
}

const clientNode = '@kubernetes/client-node'

/**
 * Its package does not say that its modules do nothing when they are loaded. They
 * do not: so what nobody uses of them stays out, which is the classes of all the
 * objects that Kubernetes has.
 */
const onlyUsedOfClientNode: Plugin = {
  name: 'only-used-of-client-node',
  setup(build) {
    build.onResolve({ filter: /^\.|^@kubernetes\/client-node$/ }, async ({ path, ...from }) => {
      const isOfIt = path === clientNode || from.importer.includes(`/node_modules/${clientNode}/`)
      if (!isOfIt || from.pluginData === clientNode) return undefined
      return { ...(await build.resolve(path, { ...from, pluginData: clientNode })), sideEffects: false }
    })
  },
}

/**
 * CommonJS has no top-level await; a program's last line is the only one, and
 * without it a failure ends the process all the same.
 */
const programsLastLine = (entryPoint: string): Plugin => ({
  name: 'programs-last-line',
  setup(build) {
    build.onLoad({ filter: new RegExp(`[\\\\/]${basename(entryPoint).replaceAll('.', '\\.')}$`) }, async ({ path }) => {
      if (path !== resolve(entryPoint)) return undefined
      const source = await readFile(path, 'utf8')
      return { contents: source.replace(/^await main\(\)\n$/m, 'main()\n'), loader: 'ts' }
    })
  },
})

/** One CommonJS file for Node 26, to be put into a directory that holds `koffi.node` too. */
export const bundleOptions = (entryPoint: string, outfile: string) =>
  ({
    entryPoints: [entryPoint],
    outfile,
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node26',
    minifyWhitespace: true,
    legalComments: 'linked',
    metafile: true,
    logLevel: 'warning',
    plugins: [
      nativeKoffiBeside,
      withoutUndici,
      withoutProcessesOfCommander,
      onlyUsedOfClientNode,
      programsLastLine(entryPoint),
    ],
  }) satisfies BuildOptions

const koffiPackages = new Map([
  ['x64', '@koromix/koffi-linux-x64/linux_x64/koffi.node'],
  ['arm64', '@koromix/koffi-linux-arm64/linux_arm64/koffi.node'],
])

/**
 * The native part of koffi for an architecture (as `process.arch` names it), below `node_modules`.
 *
 * @throws when there is none for this architecture
 */
export const nativeKoffi = (arch: string): string => {
  const path = koffiPackages.get(arch)
  if (path === undefined)
    throw new Error(`no native koffi for ${arch}: known are ${[...koffiPackages.keys()].join(', ')}`)
  return path
}
