import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { useCliBench } from './testing/bench.ts'
import type { Terminal } from './testing/terminal.ts'

const bench = await useCliBench()
beforeAll(() => {
  bench.lamina(['instance', 'start', bench.image, 'up'])
  bench.asUser(['instance', 'start', bench.image, 'up'])
}, 60_000)
afterAll(() => {
  bench.lamina(['instance', 'stop', '--all'])
  bench.asUser(['instance', 'stop', '--all'])
})

type Way = [string, 'root' | 'user', () => string]

/** Here lamina becomes the command. */
const alone: Way = ['exec as root', 'root', () => `exec ${bench.image}`]
/** Here it stays beside it. */
const beside: Way[] = [
  ['exec as an ordinary user', 'user', () => `exec ${bench.image}`],
  ['exec --pid as root', 'root', () => `exec --pid ${bench.image}`],
  ['exec --pid as an ordinary user', 'user', () => `exec --pid ${bench.image}`],
  ['exec in an instance, as root', 'root', () => 'exec instance://up'],
  ['exec in an instance, as an ordinary user', 'user', () => 'exec instance://up'],
]

describe.each([alone, ...beside])('%s', (_, who, args) => {
  let terminal: Terminal
  beforeEach(async () => {
    terminal = await bench.openTerminal(who)
  })
  afterEach(() => terminal.close())
  const lamina = (): string => `${bench.launcher} ${args()}`
  /** Alone it is a key; with others at once behind it, it would be one of the keyboard's longer ones. */
  const pressEscape = async (): Promise<void> => {
    terminal.type('\x1b')
    await sleep(200)
  }
  const settings = async (): Promise<string> => await terminal.run('stty -g')

  test('prints lines as they are, and has the size of the terminal, which may change', async () => {
    expect(await terminal.run(`${lamina()} sh -c 'echo a; echo b'`)).toBe('a\r\nb\r\n')
    terminal.resize(100, 40)
    const script = 'trap "stty size; exit 4" WINCH; stty size; while :; do sleep 0.05; done'
    terminal.type(`${lamina()} sh -c '${script}'; echo "code $?"\n`)
    await terminal.see('40 100\r\n')
    terminal.resize(132, 50)
    expect(await terminal.see(/code \d+\r\n/)).toBe('50 132\r\ncode 4\r\n')
  })

  test('Ctrl-C is for the command, which may end by it or heed it', async () => {
    terminal.type(`${lamina()} sh -c 'echo up; exec sleep 60'\n`)
    await terminal.see('up\r\n')
    terminal.type('\x03')
    expect(await terminal.run('echo "code $?"')).toContain('code 130\r\n')
    terminal.type(`${lamina()} sh -c 'trap "echo caught; exit 3" INT; echo up; while :; do sleep 0.05; done'\n`)
    await terminal.see('up\r\n')
    terminal.type('\x03')
    await terminal.see('caught\r\n')
    expect(await terminal.run('echo "code $?"')).toContain('code 3\r\n')
  })

  test('Ctrl-C comes to the command once, also where its input is a file', async () => {
    const script = 'trap "echo caught" INT; echo up; for n in 1 2 3 4 5 6 7 8 9; do sleep 0.1; done; echo done'
    terminal.type(`${lamina()} sh -c '${script}' </dev/null\n`)
    await terminal.see('up\r\n')
    terminal.type('\x03')
    expect((await terminal.see('done\r\n')).replaceAll('^C', '')).toBe('caught\r\ndone\r\n')
  })

  test('Ctrl-Z gives the terminal back to the shell, and fg to the command', async () => {
    terminal.type(`${lamina()} sh -c 'echo up; exec cat'\n`)
    await terminal.see('up\r\n')
    terminal.type('\x1a')
    await terminal.see('Stopped')
    expect(await terminal.run('echo shell')).toContain('shell\r\n')
    terminal.type('fg\n')
    await terminal.see('lamina')
    terminal.type('again\n')
    await terminal.see('again\r\n')
    terminal.type('\x04')
    expect(await terminal.run('jobs')).not.toContain('Stopped')
  })

  test('a full-screen program has the keys, stops itself and goes on, and leaves the terminal as it was', async () => {
    const file = join(who === 'root' ? bench.dir : bench.userHome, 'text')
    rmSync(file, { force: true })
    terminal.resize(80, 24)
    const before = await settings()
    terminal.type(`${lamina()} vi ${file}\n`)
    await terminal.see('~')
    terminal.type('ione\r')
    await terminal.see('one')
    await pressEscape()
    // vi takes this key itself, and stops itself alone.
    terminal.type('\x1a')
    await terminal.see('Stopped')
    expect(await settings()).toContain(before)
    terminal.type('fg\n')
    await terminal.see('one')
    terminal.type('itwo')
    await pressEscape()
    terminal.type(':wq\r')
    await terminal.see('$ ')
    expect(await settings()).toBe(before)
    expect(readFileSync(file, 'utf8')).toBe('one\ntwo\n')
  })

  test('one that is killed in the midst of it leaves a shell its terminal', async () => {
    const before = await settings()
    await terminal.run(`${lamina()} sh -c 'stty raw -echo; kill -9 $$'`)
    expect(await settings()).toBe(before)
  })

  test('a script goes on to read from the terminal', async () => {
    terminal.type(`sh -c '${lamina()} true; echo ready; read line; echo "got $line"'\n`)
    await terminal.see('ready\r\n')
    terminal.type('it\n')
    await terminal.see('got it\r\n')
  })
})

test.each(beside)('%s: a program that is killed leaves its terminal to a script too', async (_, who, args) => {
  const terminal = await bench.openTerminal(who)
  const script = `stty -g; ${bench.launcher} ${args()} sh -c "stty raw -echo; kill -9 \\$\\$"; stty -g`
  const [before, ...after] = (await terminal.run(`sh -c '${script}'`)).trim().split('\r\n')
  expect(after.at(-1)).toBe(before)
  await terminal.close()
})
