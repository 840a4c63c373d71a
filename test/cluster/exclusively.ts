import { once } from 'node:events'
import { execa } from 'execa'

/**
 * Runs `act` while no other process of this machine does with the same file. The
 * lock falls with this process, however it ends.
 *
 * @param file is made, and stays
 * @throws when another has it for longer than that
 */
export const exclusively = async <T>(
  file: string,
  { waitSeconds }: { waitSeconds: number },
  act: () => Promise<T>,
): Promise<T> => {
  const keep = ['sh', '-c', 'echo held; exec cat >/dev/null']
  const holder = execa('flock', ['--timeout', String(waitSeconds), file, ...keep], { reject: false })
  const isHeld = await Promise.race([once(holder.stdout, 'data').then(() => true), holder.then(() => false)])
  if (!isHeld) {
    const { stderr } = await holder
    const why = stderr === '' ? `another process has had it for ${waitSeconds} s: fuser ${file} names it` : stderr
    throw new Error(`no lock on ${file}: ${why}`)
  }
  try {
    return await act()
  } finally {
    holder.stdin.end()
    await holder
  }
}
