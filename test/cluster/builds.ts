import { createHash } from 'node:crypto'
import { access, mkdir, mkdtemp, readFile, rename, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { cacheDir } from './layout.ts'

type Report = (line: string) => void

interface GoBuild {
  /** Folder of the Go module, beside this file. */
  module: string
  files: readonly string[]
  /** String variables that the linker sets to the version of a required module. */
  version?: { of: string; variables: readonly string[] }
  targets: readonly string[]
  /** Further names of the binary, which does what it is called by. */
  names?: readonly string[]
}

const builds: readonly GoBuild[] = [
  {
    module: 'kube',
    files: ['go.mod', 'go.sum', 'main.go'],
    version: {
      of: 'k8s.io/kubernetes',
      variables: ['k8s.io/component-base/version.gitVersion', 'k8s.io/client-go/pkg/version.gitVersion'],
    },
    targets: ['.'],
    names: ['kubectl', 'helm'],
  },
  { module: 'containerd', files: ['go.mod', 'go.sum'], targets: ['-tags=no_btrfs,no_devmapper', 'tool'] },
]

/** Of its own: no cluster needs it but the one that is measured. */
const kwok: GoBuild = { module: 'kwok', files: ['go.mod', 'go.sum'], targets: ['tool'] }

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

/** As the go.mod files ask; the build of Kubernetes fails with an older one. */
const oldestGo = { major: 1, minor: 26 }

const goCommand = async (): Promise<string> => {
  const found: string[] = []
  for (const go of ['go', '/usr/local/go/bin/go']) {
    const { stdout = '' } = await execa(go, ['version'], { reject: false, env: { GOTOOLCHAIN: 'local' } })
    const [, major, minor] = /go(\d+)\.(\d+)/.exec(stdout) ?? []
    if (Number(major) === oldestGo.major && Number(minor) >= oldestGo.minor) return go
    if (stdout !== '') found.push(stdout)
  }
  throw new Error(
    `Go ${oldestGo.major}.${oldestGo.minor} or newer is needed to build Kubernetes the first time; ` +
      `found ${found.join(', ') || 'none on the PATH or in /usr/local/go'}`,
  )
}

/** How a build goes on beside other things. */
export interface Manner {
  /** Whether a program that begins now lets all others go first. */
  givesWay?: () => boolean
  /** Ends the build; what is half done is removed. */
  signal?: AbortSignal
}

/** Folders of a build that is under way. */
interface Staging {
  output: string
  /** Go leaves its temporary files where it is interrupted. */
  temporary: string
}

/** Prints "n of m packages" while `go build -v` names what it has compiled. */
const buildWithProgress = async (
  { module, targets, version }: GoBuild,
  { go, dir, staging, manner }: { go: string; dir: string; staging: Staging; manner: Manner },
  report: Report,
): Promise<void> => {
  const options = {
    cwd: dir,
    env: { CGO_ENABLED: '0', GOTMPDIR: staging.temporary },
    ...(manner.signal && { cancelSignal: manner.signal }),
  }
  const command = (...args: string[]): [string, string[]] =>
    manner.givesWay?.() ? ['nice', ['-n', '19', go, ...args]] : [go, args]
  const list = async (...args: string[]): Promise<string> => (await execa(...command('list', ...args), options)).stdout

  const linkerFlags = ['-s', '-w']
  if (version) {
    const value = await list('-m', '-f', '{{.Version}}', version.of)
    linkerFlags.push(...version.variables.map((variable) => `-X ${variable}=${value}`))
  }
  const total = (await list('-deps', ...targets)).split('\n').length
  const flags = ['-v', '-trimpath', `-ldflags=${linkerFlags.join(' ')}`, `-o=${staging.output}/`]
  const child = execa(...command('build', ...flags, ...targets), { ...options, buffer: false, stdout: 'ignore' })
  let done = 0
  let lastReport = 0
  const problems: string[] = []
  try {
    // At its end it throws what the build failed of.
    for await (const line of child.iterable({ from: 'stderr' })) {
      if (line.startsWith('#') || line.includes(': ')) problems.push(line)
      done += 1
      if (performance.now() - lastReport > 5_000) {
        lastReport = performance.now()
        report(`compiling ${module}: ${done} of at most ${total} packages`)
      }
    }
  } catch (error) {
    throw new Error(`go build of ${module} failed:\n${problems.join('\n')}`, { cause: error })
  }
}

/** Of the module of a build. */
const folderOf = ({ module }: GoBuild): string => join(import.meta.dirname, module)

/**
 * The folder that is to hold the built programs. The cache key is the modules' own
 * files and flags, so a change of version builds anew and nothing else does.
 */
const placeOf = async (builds: readonly GoBuild[]): Promise<string> => {
  const hash = createHash('sha256')
  for (const build of builds) {
    hash.update(JSON.stringify(build))
    for (const file of build.files) hash.update(await readFile(join(folderOf(build), file)))
  }
  return join(cacheDir, 'bin', hash.digest('hex').slice(0, 16))
}

const ensureBuilt = async (builds: readonly GoBuild[], report: Report, manner: Manner = {}): Promise<string> => {
  const target = await placeOf(builds)
  if (await exists(target)) return target

  const go = await goCommand()
  await mkdir(join(cacheDir, 'bin'), { recursive: true })
  const dir = await mkdtemp(join(cacheDir, 'bin', 'building-'))
  const staging: Staging = { output: join(dir, 'output'), temporary: join(dir, 'temporary') }
  try {
    for (const each of Object.values(staging)) await mkdir(each)
    for (const build of builds) {
      report(`building ${build.module} (the first time takes minutes)`)
      await buildWithProgress(build, { go, dir: folderOf(build), staging, manner }, report)
      for (const name of build.names ?? []) await symlink(build.module, join(staging.output, name))
    }
    await rename(staging.output, target)
  } catch (error) {
    manner.signal?.throwIfAborted()
    if (!(await exists(target))) throw error
  } finally {
    // What a compiler still writes that outlives its Go comes between.
    await rm(dir, { recursive: true, force: true, maxRetries: 10 })
  }
  return target
}

/**
 * Makes sure that the cluster's programs are built, and returns the folder that holds them.
 * @throws the signal's reason when that is aborted
 */
export const ensureBinaries = (report: Report, manner?: Manner): Promise<string> => ensureBuilt(builds, report, manner)

/** Whether {@link ensureBinaries} has nothing to do. */
export const areBinariesBuilt = async (): Promise<boolean> => exists(await placeOf(builds))

/** The same of kwok. */
export const ensureKwok = async (report: Report): Promise<string> => join(await ensureBuilt([kwok], report), 'kwok')
