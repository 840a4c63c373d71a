import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { stripVTControlCharacters } from 'node:util'
import type { Step, Transcript } from './transcript.ts'

/** A step, and what came out of the terminal after its Enter, up to the next prompt and with it. */
export interface Take {
  step: Step
  output: string
}

interface Place {
  directory: string
  env: NodeJS.ProcessEnv
}

const stepSeconds = 90

/** An OSC sequence that no terminal shows stands before the shell's prompt, with the exit code of the last command. */
const mark = '\x1b]1337;exit='
const markInPrompt = '\\[\\e]1337;exit=$?\\a\\]'

/** Of the command before the prompt; undefined while there is none. */
const exitCodeAt = (prompt: string, output: string): number | undefined => {
  const at = output.lastIndexOf(mark)
  const isPrompt = at !== -1 && stripVTControlCharacters(output.slice(at)) === prompt
  return isPrompt ? Number.parseInt(output.slice(at + mark.length), 10) : undefined
}

const lastLineOf = (output: string): string =>
  stripVTControlCharacters(output)
    .split(/[\r\n]/)
    .at(-1) ?? ''

/**
 * Types the steps into a bash on a terminal of its own, each when the one before has ended.
 *
 * @throws with what was on the terminal, when a step ends otherwise than it says, or not in time
 */
export const record = async (transcript: Transcript, { directory, env }: Place): Promise<Take[]> => {
  const { columns, rows, prompt, steps } = transcript
  const shell = `stty columns ${columns} rows ${rows}; exec bash --noprofile --norc -i`
  const child = spawn('script', ['--quiet', '--flush', '--command', shell, '/dev/null'], {
    cwd: directory,
    env: {
      ...env,
      // What starts the shell keeps PS1, which a bash would not.
      SHELL: '/bin/sh',
      PS1: `${markInPrompt}${prompt}`,
      ...{ TERM: 'xterm-256color', LANG: 'C.UTF-8', HISTFILE: '/dev/null' },
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const exited = once(child, 'exit')
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk
  })

  const awaited = async (what: string, isThere: () => boolean): Promise<void> => {
    const deadline = performance.now() + stepSeconds * 1000
    while (!isThere()) {
      if (child.exitCode !== null || performance.now() > deadline)
        throw new Error(`no ${what} on the terminal of "${transcript.title}":\n${output}`)
      await sleep(50)
    }
  }
  const promptOfShell = (): boolean => exitCodeAt(prompt, output) !== undefined

  const perform = async (step: Step): Promise<Take> => {
    output = ''
    child.stdin.write(step.type)
    await awaited(`echo of ${step.type}`, () => stripVTControlCharacters(output).includes(step.type))
    output = ''
    child.stdin.write('\r')
    const { interruptAfter, until } = step
    if (interruptAfter) {
      await awaited(String(interruptAfter), () => output.search(interruptAfter) !== -1)
      await sleep(500)
      child.stdin.write('\x03')
    }
    if (until) {
      await awaited(String(until), () => lastLineOf(output).search(until) !== -1)
      return { step, output }
    }
    await awaited('prompt', promptOfShell)
    const failed = exitCodeAt(prompt, output) !== 0
    if (failed !== (step.fails || interruptAfter !== undefined))
      throw new Error(`"${step.type}" ${failed ? 'failed' : 'did not fail'}:\n${output}`)
    return { step, output }
  }

  try {
    await awaited('prompt', promptOfShell)
    // No sequences around what is pasted: all is pasted.
    await perform({ type: "bind 'set enable-bracketed-paste off'", fails: false, wait: 0 })
    const takes: Take[] = []
    for (const step of steps) takes.push(await perform(step))
    return takes
  } finally {
    // The end of the input ends the shell, but not what may still run in it.
    child.stdin.end()
    const impatient = setTimeout(() => child.kill('SIGTERM'), 1000)
    await exited
    clearTimeout(impatient)
  }
}
