import { createHash } from 'node:crypto'
import { access, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { cacheDir } from './layout.ts'

type Report = (line: string) => void

interface GoBuild {
  /** Folder of the Go module, beside this file. */
  module: string
  files: readonly string[]
  arguments: readonly string[]
}

const builds: readonly GoBuild[] = [
  { module: 'kube', files: ['go.mod', 'go.sum', 'main.go'], arguments: ['.'] },
  { module: 'containerd', files: ['go.mod', 'go.sum'], arguments: ['-tags=no_btrfs,no_devmapper', 'tool'] },
]

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

const goCommand = async (): Promise<string> => {
  for (const go of ['go', '/usr/local/go/bin/go']) {
    const { exitCode } = await execa(go, ['version'], { reject: false })
    if (exitCode === 0) return go
  }
  throw new Error('Go is needed to build Kubernetes, and none is on the PATH: install Go 1.26 or newer')
}

/** Prints "n of m packages" while `go build -v` names what it has compiled. */
const buildWithProgress = async (go: string, dir: string, build: GoBuild, output: string, report: Report) => {
  const options = { cwd: dir, env: { CGO_ENABLED: '0' } }
  const targets = build.arguments
  const { stdout: packages } = await execa(go, ['list', '-deps', ...targets], options)
  const total = packages.split('\n').length
  const child = execa(go, ['build', '-v', '-trimpath', '-ldflags=-s -w', `-o=${output}/`, ...targets], {
    ...options,
    buffer: false,
    stdout: 'ignore',
  })
  let done = 0
  let lastReport = 0
  const problems: string[] = []
  for await (const line of child.iterable({ from: 'stderr' })) {
    if (line.startsWith('#') || line.includes(': ')) problems.push(line)
    done += 1
    if (performance.now() - lastReport > 5_000) {
      lastReport = performance.now()
      report(`compiling ${build.module}: ${done} of at most ${total} packages`)
    }
  }
  try {
    await child
  } catch (error) {
    throw new Error(`go build of ${build.module} failed:\n${problems.join('\n')}`, { cause: error })
  }
}

/**
 * Makes sure that the cluster's programs are built, and returns the folder that
 * holds them. The cache key is the modules' own files, so a change of version
 * builds anew and nothing else does.
 */
export const ensureBinaries = async (report: Report): Promise<string> => {
  const sources = builds.map((build) => ({ build, dir: join(import.meta.dirname, build.module) }))
  const hash = createHash('sha256')
  for (const { build, dir } of sources) {
    for (const file of build.files) hash.update(await readFile(join(dir, file)))
  }
  const target = join(cacheDir, 'bin', hash.digest('hex').slice(0, 16))
  if (await exists(target)) return target

  const go = await goCommand()
  await mkdir(join(cacheDir, 'bin'), { recursive: true })
  const staging = await mkdtemp(join(cacheDir, 'bin', 'building-'))
  try {
    for (const { build, dir } of sources) {
      report(`building ${build.module} (the first time takes minutes)`)
      await buildWithProgress(go, dir, build, staging, report)
    }
    await rename(staging, target)
  } catch (error) {
    await rm(staging, { recursive: true, force: true })
    if (!(await exists(target))) throw error
  }
  return target
}
