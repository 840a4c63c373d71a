import { execFileSync, spawnSync } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { installFiles, runtimeFiles } from '../../runtime-shim/agent/install/files.ts'
import { currentBootID } from '../../runtime-shim/node/boot.ts'
import { readJson } from '../../runtime-shim/node/json-file.ts'
import { defaultLayout, imagePaths, installedPaths, type NodeLayout, podPaths } from '../../runtime-shim/node/layout.ts'
import {
  type MountRecord,
  mountRecordSchema,
  type ReleaseRecord,
  releaseRecordSchema,
  type TicketInput,
} from '../../runtime-shim/node/ticket.ts'
import { build } from '../../scripts/build.ts'
import { type BlockDevice, makeSquashfs } from './images.ts'

/** The shared objects that make one of the host's programs run in a root of its own, as gensquashfs entries. */
const withLibraries = (program: string, at: string): string[] => {
  const libraries = execFileSync('ldd', [program], { encoding: 'utf8' }).matchAll(/(\/\S+) \(0x/g)
  return [`file ${at} 0755 0 0 ${program}`, ...[...libraries].map(([, path]) => `file ${path} 0755 0 0 ${path}`)]
}

const directoriesOf = (entries: readonly string[]): string[] => {
  const paths = entries.map((entry) => entry.split(' ')[1] ?? '')
  const dirs = paths.flatMap((path) => {
    const parts = path.split('/').slice(1, -1)
    return parts.map((_, index) => `/${parts.slice(0, index + 1).join('/')}`)
  })
  return [...new Set(dirs)].toSorted().map((path) => `dir ${path} 0755 0 0`)
}

/** A base in which the host's shell and core tools run. */
const shellBase = (path: string, more: readonly string[] = []): string => {
  const tools = ['sh', 'cat', 'ls', 'id', 'sleep', 'touch', 'grep', 'dd'].map((name) => ({
    at: `/bin/${name}`,
    program: execFileSync('which', [name], { encoding: 'utf8' }).trim(),
  }))
  const files = [...new Set(tools.flatMap(({ at, program }) => withLibraries(program, at)))]
  const entries = [...files, 'file /etc/passwd 0644 0 0 /etc/passwd', 'file /etc/group 0644 0 0 /etc/group']
  const taken = new Set(more.map((entry) => entry.split(' ')[1]))
  const all = [
    ...entries.filter((entry) => !taken.has(entry.split(' ')[1])),
    ...more.filter((entry) => !entry.startsWith('dir ')),
  ]
  return makeSquashfs(path, [
    'dir / 0755 0 0',
    ...directoriesOf(all),
    ...more.filter((entry) => entry.startsWith('dir ')),
    ...all,
  ])
}

export interface Outcome {
  exitCode: number
  stdout: string
  stderr: string
}

/** What the bench puts into a bundle's config.json. */
export interface BundleConfig {
  root: { path: string; readonly: boolean }
  process: { args: readonly string[]; env: readonly string[] }
  mounts: readonly { destination: string; source: string }[]
  linux: { namespaces: readonly object[]; cgroupsPath: string; resources: object }
  annotations: Record<string, string>
}

export interface BenchContainer {
  id: string
  bundle: string
  podUID: string
}

/** The runtime as it is installed on a node, with state of its own, driven by hand as containerd drives it. */
export interface RuntimeBench {
  dir: string
  layout: NodeLayout
  /** By which the runtime finds that layout. */
  env: NodeJS.ProcessEnv
  /** The squashfs of every container that has no other. */
  base: string
  /** Puts an image into the cache, as the agent does; `more` is for {@link shellBase}. */
  image(name: string, more?: readonly string[]): TicketInput['image']
  /** A bundle as containerd makes it. */
  container(options: {
    podUID?: string
    name?: string
    args?: readonly string[]
    mounts?: readonly { destination: string; source: string }[]
    user?: object
    readonly?: boolean
    env?: readonly string[]
    /** The last word on the configuration. */
    change?: (config: BundleConfig) => object
  }): BenchContainer
  /** Leave to mount, as the agent gives it. */
  ticket(podUID: string, ticket: Partial<TicketInput>): void
  refuse(podUID: string, refusal: { reason: string; message: string; final: boolean }): void
  run(...args: readonly string[]): Outcome
  create(container: BenchContainer, env?: NodeJS.ProcessEnv): Outcome
  /** The container's stdout and stderr so far. */
  output(container: BenchContainer): string
  start(container: BenchContainer): Outcome
  /** Runs the command and gives its output. */
  exec(container: BenchContainer, ...args: readonly string[]): Outcome
  kill(container: BenchContainer): void
  delete(container: BenchContainer): Outcome
  /** Creates and starts it, or throws with what the runtime says. */
  started(container: BenchContainer): BenchContainer
  /** Ends it as containerd does: the process first, then `delete`. */
  ended(container: BenchContainer): Outcome
  /** What `create` left of it for the agent, and `delete`. */
  recordOf(container: BenchContainer): MountRecord | undefined
  releaseOf(container: BenchContainer): ReleaseRecord | undefined
  close(): void
}

const outcomeOf = ({ status, stdout, stderr }: { status: number | null; stdout: string; stderr: string }): Outcome => ({
  exitCode: status ?? 255,
  stdout,
  stderr,
})

const madeBefore = 'config-as-made.json'

const namespaces = ['pid', 'ipc', 'uts', 'mount'].map((type) => ({ type }))
const systemMounts = [
  { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
  { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755'] },
]

/**
 * What a container's bundle has of a block volume at `path`, and the kubelet's
 * directory of the pod below `dir`, where the device is laid down.
 */
export const withBlockVolume = (
  dir: string,
  podUID: string,
  path: string,
  { major, minor, mapPath }: Pick<BlockDevice, 'major' | 'minor' | 'mapPath'>,
) => {
  const podDir = join(dir, 'kubelet/pods', podUID)
  const deviceDir = join(podDir, 'volumeDevices/kubernetes.io~local-volume')
  mkdirSync(deviceDir, { recursive: true })
  if (!existsSync(join(deviceDir, 'pv-1'))) symlinkSync(mapPath, join(deviceDir, 'pv-1'))
  writeFileSync(join(podDir, 'termination-log'), '')
  return {
    mount: { destination: '/dev/termination-log', source: join(podDir, 'termination-log') },
    change: (config: BundleConfig) => ({
      ...config,
      linux: {
        ...config.linux,
        devices: [{ path, type: 'b', major, minor, fileMode: 0o660 }],
        resources: {
          devices: [
            { allow: false, access: 'rwm' },
            { allow: true, type: 'b', major, minor, access: 'rwm' },
          ],
        },
      },
    }),
  }
}

const cgroupOf = (id: string): string => `lamina-test-${id}`

/** What a runc that was killed leaves, in whichever hierarchies the machine has. */
const removeCgroups = (name: string): void => {
  const root = '/sys/fs/cgroup'
  for (const hierarchy of ['', ...readdirSync(root)]) {
    const path = join(root, hierarchy, name)
    if (existsSync(path)) rmdirSync(path)
  }
}

/** @param underlying name or path of the runtime that ours becomes */
export const createRuntimeBench = async (underlying = 'runc'): Promise<RuntimeBench> => {
  const dir = mkdtempSync('/var/tmp/lamina-runtime-')
  const layout: NodeLayout = {
    ...defaultLayout,
    stateDir: join(dir, 'run'),
    cacheDir: join(dir, 'cache'),
    installDir: join(dir, 'opt'),
  }
  try {
    await build(join(dir, 'app'), ['lamina-runtime.cjs'])
    await installFiles(runtimeFiles(layout, { appDir: join(dir, 'app'), underlying }))
  } catch (error) {
    rmSync(dir, { recursive: true })
    throw error
  }
  for (const path of ['run', 'cache', 'bundles', 'placeholder', 'runc']) mkdirSync(join(dir, path))
  const image = (name: string, more?: readonly string[]): TicketInput['image'] => {
    const digest = `sha256:${createHash('sha256').update(name).digest('hex')}`
    const paths = imagePaths(layout, digest)
    mkdirSync(paths.dir, { recursive: true })
    shellBase(paths.file, more)
    return { reference: `example/${name}@${digest}`, digest }
  }
  const base = image('base')
  const layoutEnv = { PATH: process.env.PATH, LAMINA_STATE_DIR: layout.stateDir, LAMINA_CACHE_DIR: layout.cacheDir }
  const { launcher } = installedPaths(layout)
  const ids = new Set<string>()
  const made = new Set<string>()

  const run = (args: readonly string[], env: NodeJS.ProcessEnv = {}, stdio?: [number, number, number]): Outcome => {
    const result = spawnSync(launcher, ['--root', join(dir, 'runc'), ...args], {
      encoding: 'utf8',
      env: { ...layoutEnv, ...env },
      ...(stdio ? { stdio } : {}),
    })
    return outcomeOf({ ...result, stdout: result.stdout ?? '', stderr: result.stderr ?? '' })
  }
  const outputFile = ({ bundle }: BenchContainer) => join(bundle, 'output')

  const bench: RuntimeBench = {
    dir,
    layout,
    env: layoutEnv,
    base: imagePaths(layout, base.digest).file,
    image,
    container: ({
      podUID = randomUUID(),
      name = 'main',
      args = ['sleep', '1000'],
      mounts = [],
      change = (made) => made,
      ...rest
    }) => {
      const id = randomUUID().replaceAll('-', '')
      made.add(id)
      const bundle = join(dir, 'bundles', id)
      mkdirSync(join(bundle, 'rootfs'), { recursive: true })
      const config = {
        ociVersion: '1.0.2',
        root: { path: join(dir, 'placeholder'), readonly: rest.readonly ?? false },
        hostname: 'bench',
        process: {
          terminal: false,
          user: rest.user ?? { uid: 0, gid: 0, additionalGids: [0] },
          args,
          env: ['PATH=/bin:/usr/bin', ...(rest.env ?? [])],
          cwd: '/',
          rlimits: [],
        },
        mounts: [
          ...systemMounts,
          ...mounts.map((mount) => ({ ...mount, type: 'bind', options: ['rbind', 'rprivate', 'rw'] })),
        ],
        linux: { namespaces, cgroupsPath: `/${cgroupOf(id)}`, resources: {} },
        annotations: {
          'io.kubernetes.cri.container-type': 'container',
          'io.kubernetes.cri.container-name': name,
          'io.kubernetes.cri.sandbox-uid': podUID,
        },
      }
      const text = JSON.stringify(change(config))
      writeFileSync(join(bundle, 'config.json'), text)
      // containerd keeps the spec that it made, and makes the processes of `exec` from that.
      writeFileSync(join(bundle, madeBefore), text)
      return { id, bundle, podUID }
    },
    ticket: (podUID, ticket) => {
      const whole: TicketInput = {
        version: 1,
        pod: { namespace: 'default', name: 'bench', uid: podUID },
        instance: { name: 'bench', uid: randomUUID() },
        bootID: currentBootID(),
        image: base,
        overlays: [],
        ephemeral: null,
        user: '',
        podGroups: [],
        imageGroups: true,
        runAsNonRoot: false,
        ...ticket,
      }
      const paths = podPaths(layout, podUID)
      mkdirSync(paths.dir, { recursive: true })
      writeFileSync(paths.ticket, JSON.stringify(whole))
    },
    refuse: (podUID, refusal) => {
      const paths = podPaths(layout, podUID)
      mkdirSync(paths.dir, { recursive: true })
      writeFileSync(paths.refusal, JSON.stringify(refusal))
    },
    run: (...args) => run(args),
    create: (container, env) => {
      const { id, bundle } = container
      ids.add(id)
      const output = openSync(outputFile(container), 'a')
      const nothing = openSync('/dev/null', 'r')
      const log = join(bundle, 'log.json')
      try {
        const args = [
          '--log',
          log,
          '--log-format',
          'json',
          'create',
          '--bundle',
          bundle,
          '--pid-file',
          join(bundle, 'pid'),
          id,
        ]
        return { ...run(args, env, [nothing, output, output]), stderr: readFileSync(outputFile(container), 'utf8') }
      } finally {
        closeSync(output)
        closeSync(nothing)
      }
    },
    output: (container) => readFileSync(outputFile(container), 'utf8'),
    start: ({ id }) => run(['start', id]),
    exec: ({ id, bundle }, ...args) => {
      const process_ = join(bundle, `exec-${randomUUID()}.json`)
      const { process: containers } = JSON.parse(readFileSync(join(bundle, madeBefore), 'utf8'))
      writeFileSync(process_, JSON.stringify({ ...containers, args }))
      return run(['exec', '--process', process_, id])
    },
    kill: ({ id }) => {
      run(['kill', id, 'KILL'])
    },
    delete: ({ id }) => run(['delete', '--force', id]),
    started: (container) => {
      for (const { exitCode, stderr } of [bench.create(container), bench.start(container)])
        if (exitCode !== 0) throw new Error(stderr)
      return container
    },
    ended: (container) => {
      bench.kill(container)
      return bench.delete(container)
    },
    recordOf: ({ podUID, id }) => readJson(join(podPaths(layout, podUID).mounts, `${id}.json`), mountRecordSchema),
    releaseOf: ({ podUID, id }) => readJson(join(podPaths(layout, podUID).releases, `${id}.json`), releaseRecordSchema),
    close: () => {
      for (const id of ids) run(['delete', '--force', id])
      for (const container of made) removeCgroups(cgroupOf(container))
      rmSync(dir, { recursive: true, force: true })
    },
  }
  return bench
}
