import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import * as z from 'zod'

/** What an unpacked or mounted image holds, seen through the kernel. */

const listedSchema = z.object({
  path: z.string(),
  /** As ls(1) shows it. */
  type: z.string(),
  mode: z.number(),
  uid: z.number(),
  gid: z.number(),
  mtime: z.number(),
  xattrs: z.record(z.string(), z.string()),
  links: z.number().optional(),
  target: z.string().optional(),
  device: z.string().optional(),
  size: z.number().optional(),
  sha256: z.string().optional(),
})
export type Listed = z.infer<typeof listedSchema>

const run = promisify(execFile)

/** Prints what `parseListing` reads. */
export const listingCommand = (directory: string): [string, ...string[]] => [
  'python3',
  join(import.meta.dirname, 'listing.py'),
  directory,
]

/** By path; names and targets as bytes (latin1). */
export const parseListing = (output: string): Record<string, Listed> =>
  Object.fromEntries(
    output
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => listedSchema.parse(JSON.parse(line)))
      .map((listed) => [listed.path, listed]),
  )

/** Everything below a directory. */
export const list = async (directory: string): Promise<Record<string, Listed>> => {
  const [program, ...args] = listingCommand(directory)
  return parseListing((await run(program, args, { maxBuffer: 2 ** 28 })).stdout)
}

/** Mounts a squashfs for the while. */
export const withMounted = async <T>(squashfs: string, act: (directory: string) => Promise<T>): Promise<T> => {
  const directory = await mkdtemp(join(tmpdir(), 'lamina-mounted-'))
  await run('mount', ['-t', 'squashfs', '-o', 'loop,ro', squashfs, directory])
  try {
    return await act(directory)
  } finally {
    await run('umount', [directory])
    await rm(directory, { recursive: true })
  }
}
