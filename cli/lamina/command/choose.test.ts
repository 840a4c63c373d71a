import { describe, expect, test } from 'vitest'
import { type Action, commandOf, type RootFacts } from './choose.ts'

const bare: RootFacts = {
  config: undefined,
  environment: undefined,
  runscript: undefined,
  startscript: undefined,
  shell: undefined,
  hasSh: false,
}
const withShell: RootFacts = { ...bare, shell: '/bin/sh', hasSh: true }
const choose = (kind: Action['kind'], args: string[], facts: RootFacts) => commandOf({ kind, args }, facts)

describe('run', () => {
  const config = { entrypoint: ['/entry', '-x'], cmd: ['usual'], env: [] }

  test('runs the entrypoint with its command, or with what is given instead', () => {
    expect(choose('run', [], { ...bare, config })).toEqual(['/entry', '-x', 'usual'])
    expect(choose('run', ['other', '1'], { ...bare, config })).toEqual(['/entry', '-x', 'other', '1'])
  })

  test('runs the runscript', () => {
    expect(choose('run', ['a'], { ...bare, runscript: '/singularity' })).toEqual(['/singularity', 'a'])
  })

  test('runs a shell where the image says nothing, and tells when there is none', () => {
    expect(choose('run', [], withShell)).toEqual(['/bin/sh'])
    expect(() => choose('run', [], bare)).toThrow(/neither a runscript nor an entrypoint nor a shell/)
  })
})

describe('the environment that Singularity wrote into the image', () => {
  test('is loaded by the shell that the image has', () => {
    const [shell, flag, script, name, ...args] = choose('exec', ['tool', 'a b'], {
      ...withShell,
      environment: 'scripts',
    })
    expect([shell, flag, name, args]).toEqual(['/bin/sh', '-c', '/bin/sh', ['tool', 'a b']])
    expect(script).toContain('/.singularity.d/env/*.sh')
    expect(choose('exec', ['tool'], { ...withShell, environment: 'file' })[2]).toContain('. /environment')
  })

  test('is left aside where there is no shell', () => {
    expect(choose('exec', ['tool'], { ...bare, environment: 'scripts' })).toEqual(['tool'])
  })
})

test('shell is bash without its files where there is one, or what is asked for', () => {
  expect(choose('shell', ['-c', 'x'], { ...withShell, shell: '/bin/bash' })).toEqual(['/bin/bash', '--norc', '-c', 'x'])
  expect(commandOf({ kind: 'shell', args: [], shell: '/bin/zsh' }, bare)).toEqual(['/bin/zsh'])
  expect(() => choose('shell', [], bare)).toThrow(/--shell/)
})

test('an instance without a startscript runs nothing', () => {
  expect(choose('start', [], withShell)).toEqual([])
  expect(choose('start', ['a'], { ...withShell, startscript: '/start' })).toEqual(['/start', 'a'])
})
