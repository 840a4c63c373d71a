/**
 * The story of the quickstart, told on this machine alone with `lamina`: what
 * is installed in a run with an overlay is there in the next one.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { execa } from 'execa'
import { debianImage } from '../test/cluster/images.ts'
import { build } from './build.ts'
import { inSeconds, type Narrator } from './narrator.ts'

/** On a disk: /tmp may be memory. */
const disk = '/var/tmp'

interface Outcome {
  exitCode: number
  /** Its lines, of both streams. */
  said: string[]
}

type Lamina = (...args: string[]) => Promise<Outcome>

/** `lamina` as a person would type it in that directory: the command is shown, what it says, and its time. */
const createLamina =
  (narrator: Narrator, dir: string, programs: string, signal: AbortSignal): Lamina =>
  async (...args) => {
    narrator.typed(['lamina', ...args])
    const since = performance.now()
    const child = execa('lamina', args, {
      cwd: dir,
      env: { PATH: `${programs}${delimiter}${process.env.PATH}`, LAMINA_NODE: process.execPath },
      ...{ stdin: 'ignore', all: true, buffer: false, reject: false, cancelSignal: signal },
    })
    const said: string[] = []
    return narrator.speaking(async () => {
      for await (const line of child.iterable({ from: 'all' })) {
        said.push(line)
        narrator.say(line)
      }
      const { exitCode = 1 } = await child
      signal.throwIfAborted()
      narrator.say(`(${inSeconds(performance.now() - since)})`)
      return { exitCode, said }
    })
  }

/** @throws when it fails */
const succeeding =
  (lamina: Lamina): Lamina =>
  async (...args) => {
    const outcome = await lamina(...args)
    if (outcome.exitCode !== 0) throw new Error(`lamina ${args.join(' ')} ended with exit code ${outcome.exitCode}`)
    return outcome
  }

const tell = async (narrator: Narrator, lamina: Lamina, debian: string): Promise<void> => {
  const demand = (holds: boolean, what: string): void => {
    if (!holds) throw new Error(`that is not how the story goes: ${what}`)
    narrator.say(`✓ ${what}`)
  }
  const must = succeeding(lamina)
  const quiet = ['-qq', '-o', 'Dpkg::Use-Pty=0']
  const withOverlay = ['exec', '--overlay', 'dev.img', 'debian.sqfs']

  narrator.chapter('On this machine alone: an image, an overlay')
  await must('build', 'debian.sqfs', `oci:${debian}:it`)
  await must('overlay', 'create', '--size', '512M', 'dev.img')

  narrator.chapter('Change it: a file, and a program from Debian')
  await must(...withOverlay, 'touch', '/foo')
  await must(...withOverlay, 'apt-get', ...quiet, 'update')
  await must(...withOverlay, 'apt-get', ...quiet, 'install', '-y', 'vim-tiny')

  narrator.chapter('The next run with the overlay, and one without')
  demand((await must(...withOverlay, 'ls', '/foo')).said[0] === '/foo', '/foo is there')
  demand((await must(...withOverlay, 'which', 'vim.tiny')).said[0]?.endsWith('vim.tiny') === true, 'vim is there')
  // Their own exit codes: lamina has others for what it cannot do.
  demand((await lamina('exec', 'debian.sqfs', 'ls', '/foo')).exitCode === 2, 'without the overlay /foo is not there')
  demand((await lamina('exec', 'debian.sqfs', 'which', 'vim.tiny')).exitCode === 1, 'nor is vim')
}

/**
 * Tells it in a directory that is gone when it ends.
 *
 * @throws when the story goes otherwise; the signal's reason when that is aborted
 */
export const tellLocalStory = async (narrator: Narrator, signal: AbortSignal): Promise<void> => {
  const dir = await mkdtemp(join(disk, 'lamina-story-'))
  try {
    const programs = join(dir, 'programs')
    await build(programs, ['lamina.cjs', 'lamina-program.cjs', 'overlay-worker.cjs'])
    const debian = await debianImage(narrator.report)
    signal.throwIfAborted()
    await tell(narrator, createLamina(narrator, dir, programs, signal), debian)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
