import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import { createNarrator } from './narrator.ts'

const telling = (isTerminal: boolean) => {
  const time = { ms: 0 }
  const written: string[] = []
  const screen = { write: (text: string) => void written.push(text), isTerminal, columns: () => 80 }
  return { time, narrator: createNarrator(screen, () => time.ms), written: () => written.join('') }
}

test('commands are shown as they would be typed', () => {
  const { narrator, written } = telling(false)
  narrator.typed(['kubectl', 'get', 'pods', '-o', "jsonpath='{.items}'"])
  expect(written()).toBe("\n$ kubectl get pods -o 'jsonpath='\\''{.items}'\\'''\n")
})

test('elsewhere than on a terminal progress comes as whole lines, and waits until a command has spoken', async () => {
  const { time, narrator, written } = telling(false)
  narrator.progress('compiling: 1 of 9')
  await narrator.speaking(async () => {
    time.ms = 20_000
    narrator.say('Unpacking vim')
    narrator.progress('compiling: 2 of 9')
    narrator.progress('compiling: 3 of 9')
    narrator.say('Setting up vim')
  })
  narrator.say('done')
  expect(written()).toBe(
    ['[  0.0 s] compiling: 1 of 9', 'Unpacking vim', 'Setting up vim', '[ 20.0 s] compiling: 3 of 9', 'done', ''].join(
      '\n',
    ),
  )
})

test('progress comes after a command that has failed, too', async () => {
  const { narrator, written } = telling(false)
  const failing = narrator.speaking(async () => {
    narrator.progress('compiling: 2 of 9')
    throw new Error('no such program')
  })
  await expect(failing).rejects.toThrow('no such program')
  expect(written()).toBe('[  0.0 s] compiling: 2 of 9\n')
})

test('on a terminal progress is the last line, below what a command says', async () => {
  const { narrator, written } = telling(true)
  await narrator.speaking(async () => {
    narrator.progress('compiling: 2 of 9')
    narrator.say('Unpacking vim')
  })
  narrator.endProgress()
  const screenLines = stripVTControlCharacters(written()).split(/[\r\n]+/)
  expect(screenLines).toEqual([
    '',
    expect.stringMatching(/. compiling: 2 of 9/),
    'Unpacking vim',
    expect.stringMatching(/. compiling: 2 of 9/),
    '',
  ])
  expect(written().endsWith('\r\x1b[K')).toBe(true)
})
