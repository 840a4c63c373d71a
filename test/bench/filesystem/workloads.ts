import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { execa } from 'execa'
import * as z from 'zod'
import { npmOptions } from './sources.ts'

/** What the workloads take their data from, on the host and the same for all. */
export interface Sources {
  /** Many small files. */
  tar: string
  /** The same files as a git repository. */
  repository: string
  /** `package.json`, its lock file, and a cache that has all of it. */
  npm: { project: string; cache: string }
}

export interface Outcome {
  seconds: number
  /** System calls of a job of fio; 1 for a whole command. */
  operations: number
}

/** Work in a directory. */
export interface Workload {
  name: string
  /** The ratio to the host directory's speed that it should reach. */
  aim: number
  /** What comes before, untimed. */
  prepare(dir: string): Promise<void>
  run(dir: string, sources: Sources): Promise<Outcome>
  /** What of it must not stay. */
  remove?: string
}

const syncFileSystem = async (dir: string): Promise<void> => {
  await execa('sync', ['--file-system', dir])
}

/** Empties the page cache of the machine: the image's pages too, not only those of the file in it. */
const dropCaches = (): void => {
  writeFileSync('/proc/sys/vm/drop_caches', '3')
}

const fioSide = z.object({ total_ios: z.number(), iops: z.number() })
const fioSchema = z.object({ jobs: z.tuple([z.object({ read: fioSide, write: fioSide })]) })

/** Runs one job of fio(1), all of whose operations read or all write. */
const fio = async (dir: string, ...options: string[]): Promise<Outcome> => {
  const always = ['--name=bench', `--directory=${dir}`, '--ioengine=psync', '--randseed=1', '--fallocate=none']
  const { stdout } = await execa('fio', [...always, '--group_reporting', '--output-format=json', ...options])
  const [{ read, write }] = fioSchema.parse(JSON.parse(stdout)).jobs
  const { total_ios: operations, iops } = read.total_ios > 0 ? read : write
  return { seconds: operations / iops, operations }
}

const seconds = async (act: () => Promise<unknown>): Promise<number> => {
  const started = performance.now()
  await act()
  return (performance.now() - started) / 1000
}

/** A whole command, until all that it wrote is on disk. */
const untilSynced = async (dir: string, act: (at: string) => Promise<unknown>): Promise<Outcome> => {
  const took = await seconds(async () => {
    await act(join(dir, 'tree'))
    await syncFileSystem(dir)
  })
  return { seconds: took, operations: 1 }
}

const prepareTree = async (dir: string): Promise<void> => {
  mkdirSync(join(dir, 'tree'))
  await syncFileSystem(dir)
}

const tree = { aim: 0.9, prepare: prepareTree, remove: 'tree' }

const largeFile = 'large'
const large = [`--filename=${largeFile}`, '--size=512M']

/** The file as a sequential write leaves it, on disk. */
const prepareLarge = async (dir: string): Promise<void> => {
  if (!existsSync(join(dir, largeFile))) await fio(dir, ...large, '--rw=write', '--bs=1M')
  await syncFileSystem(dir)
}

const prepareCold = async (dir: string): Promise<void> => {
  await prepareLarge(dir)
  dropCaches()
}

export const workloads: readonly Workload[] = [
  {
    ...tree,
    name: 'untar + sync',
    run: (dir, { tar }) => untilSynced(dir, (at) => execa('tar', ['--extract', '--file', tar, '--directory', at])),
  },
  {
    ...tree,
    name: 'git clone + sync',
    run: (dir, { repository }) =>
      untilSynced(dir, (at) => execa('git', ['clone', '--quiet', '--no-local', repository, join(at, 'clone')])),
  },
  {
    ...tree,
    name: 'npm ci + sync',
    run: (dir, { npm }) =>
      untilSynced(dir, async (at) => {
        await execa('cp', ['--recursive', `${npm.project}/.`, at])
        await execa('npm', ['ci', ...npmOptions, '--offline', '--cache', npm.cache], { cwd: at })
      }),
  },
  {
    name: 'append 4k + fsync',
    aim: 0.5,
    prepare: syncFileSystem,
    run: (dir) => fio(dir, '--filename=log', '--rw=write', '--bs=4k', '--size=4M', '--fsync=1'),
    remove: 'log',
  },
  {
    name: 'new file 8k + fsync',
    aim: 0.5,
    prepare: prepareTree,
    run: (dir) => {
      const files = ['--nrfiles=500', '--filesize=8k', '--openfiles=1', '--file_service_type=sequential']
      return fio(join(dir, 'tree'), ...files, '--rw=write', '--bs=8k', '--create_on_open=1', '--fsync_on_close=1')
    },
    remove: 'tree',
  },
  {
    name: 'sequential write',
    aim: 1,
    prepare: async (dir) => {
      // Over a file that is cached it would be another workload.
      rmSync(join(dir, largeFile), { force: true })
      await syncFileSystem(dir)
    },
    run: (dir) => fio(dir, ...large, '--rw=write', '--bs=1M', '--end_fsync=1'),
  },
  {
    name: 'random write 4k',
    aim: 0.95,
    prepare: prepareLarge,
    run: (dir) => fio(dir, ...large, '--rw=randwrite', '--bs=4k', '--io_size=256M', '--end_fsync=1'),
  },
  {
    name: 'overwrite 4k + fsync',
    aim: 0.5,
    prepare: prepareLarge,
    run: (dir) => fio(dir, ...large, '--rw=randwrite', '--bs=4k', '--io_size=6M', '--fsync=1'),
  },
  {
    name: 'sequential read',
    aim: 1,
    prepare: prepareCold,
    run: (dir) => fio(dir, ...large, '--rw=read', '--bs=1M'),
  },
  {
    name: 'random read 4k',
    aim: 0.95,
    prepare: prepareCold,
    run: (dir) => fio(dir, ...large, '--rw=randread', '--bs=4k', '--io_size=16M'),
  },
  {
    name: 'random read 4k, 8 at once',
    aim: 0.95,
    prepare: prepareCold,
    run: (dir) => fio(dir, ...large, '--rw=randread', '--bs=4k', '--io_size=8M', '--numjobs=8', '--thread'),
  },
]
