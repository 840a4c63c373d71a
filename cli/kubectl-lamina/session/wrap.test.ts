import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { createMarkerFilter, killWords, wrap } from './wrap.ts'

const run = ([program = '', ...args]: string[]): string => execFileSync(program, args, { encoding: 'utf8' })

test('a wrapped command runs with its words as they are, after a line with the marker', () => {
  const { command, marker } = wrap(['printf', '%s|', 'a b', "it's", '$HOME', ''])
  const [first = '', rest] = run(command).split('\n')
  expect(first).toMatch(new RegExp(`^${marker}\\d+$`))
  expect(rest).toBe("a b|it's|$HOME||")
})

test('directory and environment are set as they are written', () => {
  const { command } = wrap(['sh', '-c', 'pwd; echo "$A"'], {
    workingDir: '/usr',
    env: [{ name: 'A', value: "x 'y' $z" }],
  })
  expect(run(command).split('\n').slice(1)).toEqual(['/usr', "x 'y' $z", ''])
})

test('a signal reaches the process and what it has started', async () => {
  const started = '(trap "echo heard; exit" TERM; echo ready; while :; do sleep 0.05; done) & wait'
  const { command, marker } = wrap(['sh', '-c', started])
  const [program = '', ...args] = command
  const child = spawn(program, args, { detached: true, stdio: ['ignore', 'pipe', 'ignore'] })
  const exited = once(child, 'exit')
  const filter = createMarkerFilter(marker)
  let output = ''
  for await (const chunk of child.stdout) {
    output += filter.pass(chunk)
    if (output === 'ready\n') run(killWords('SIGTERM', filter.pid() ?? 0))
  }
  expect(filter.pid()).toBe(child.pid)
  expect(output).toBe('ready\nheard\n')
  expect(await exited).toEqual([null, 'SIGTERM'])
})

test('the marker is taken out however it comes in pieces, with the line end of a terminal, too', () => {
  const filter = createMarkerFilter('lamina:x:')
  const passed = ['lam', 'ina:x:12', '3\r', '\nfirst', '\nlamina:x:9\n'].map((piece) =>
    filter.pass(Buffer.from(piece)).toString(),
  )
  expect(passed).toEqual(['', '', '', 'first', '\nlamina:x:9\n'])
  expect(filter.pid()).toBe(123)
})

test('output without the marker is passed on at once, byte for byte', () => {
  const filter = createMarkerFilter('lamina:x:')
  const bytes = Buffer.from([0, 255, 10, 128])
  expect(filter.pass(bytes)).toEqual(bytes)
  expect(filter.pid()).toBeUndefined()
})

test('a beginning of the marker that is all there is comes out at the end', () => {
  const filter = createMarkerFilter('lamina:x:')
  filter.pass(Buffer.from('lam'))
  expect(filter.end().toString()).toBe('lam')
})
