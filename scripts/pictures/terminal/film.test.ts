import { expect, test } from 'vitest'
import { develop, type Film } from './film.ts'

/** Of a command `x` that prints this, with nothing after it but the prompt. */
const filmOf = (printed: string, steady: { from: RegExp; to: string }[] = []): Promise<Film> => {
  const step = { type: 'x', fails: false, wait: 1 }
  const shown = { title: 'a test', columns: 20, rows: 4, prompt: '$ ', files: {}, steps: [step] }
  return develop({ ...shown, steady }, [{ step, output: `\r\n${printed}$ ` }])
}

const textOf = ({ runs }: Film['lines'][number]): string => runs.map(({ text }) => text).join('')

/** What stands on the screen at that time, from its top. */
const screenAt = ({ lines, scroll, rows }: Film, ms: number): string[] => {
  const top = scroll.filter(({ fromMs }) => fromMs <= ms).at(-1)?.top ?? 0
  const seen = lines.filter(({ fromMs, toMs = Number.POSITIVE_INFINITY }) => fromMs <= ms && ms < toMs)
  return Array.from({ length: rows }, (_, index) =>
    seen
      .filter(({ row }) => row === top + index)
      .map(textOf)
      .join('|'),
  )
}

test('it begins with the prompt, and ends with all that was printed', async () => {
  const film = await filmOf('one\r\ntwo\r\n')
  expect(screenAt(film, 0)).toEqual(['$ ', '', '', ''])
  expect(screenAt(film, film.lengthMs)).toEqual(['$ x', 'one', 'two', '$ '])
})

test('lines come one by one, and what does not fit scrolls away', async () => {
  const film = await filmOf('1\r\n2\r\n3\r\n4\r\n')
  const screens = [...new Set(film.scroll.map(({ fromMs }) => screenAt(film, fromMs).join(',')))]
  expect(screens).toEqual(['$ ,,,', '1,2,3,', '2,3,4,'])
})

test('what was written over is not shown, nor what is another every time', async () => {
  const film = await filmOf('10%\r90%\rdone in 3.2 s\r\n', [{ from: /\d\.\d s/g, to: '2.0 s' }])
  expect(film.lines.map(textOf).filter((text) => text.includes('%'))).toEqual([])
  expect(screenAt(film, film.lengthMs)[1]).toBe('done in 2.0 s')
})

test('it takes as long whatever the machine did, for the same lines', async () => {
  const [one, other] = await Promise.all([filmOf('a\r\n'), filmOf('b\r\n')])
  expect(other.lengthMs).toBe(one.lengthMs)
  expect(other.lines.map(({ fromMs, toMs }) => [fromMs, toMs])).toEqual(
    one.lines.map(({ fromMs, toMs }) => [fromMs, toMs]),
  )
})

test('colours and weights are told apart', async () => {
  const film = await filmOf('plain \x1b[31mred\x1b[0m \x1b[1;48;5;46mbold\x1b[0m \x1b[38;2;1;2;3mrgb\x1b[0m\r\n')
  const [line] = film.lines.filter((one) => textOf(one).startsWith('plain'))
  expect(line?.runs.filter(({ text }) => text !== ' ')).toEqual([
    { column: 0, text: 'plain ', bold: false, dim: false },
    { column: 6, text: 'red', colour: '#ff7b72', bold: false, dim: false },
    { column: 10, text: 'bold', ground: '#00ff00', bold: true, dim: false },
    { column: 15, text: 'rgb', colour: '#010203', bold: false, dim: false },
  ])
})
