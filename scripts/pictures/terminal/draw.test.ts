import { expect, test } from 'vitest'
import { drawFilm } from './draw.ts'
import type { Line, Run } from './film.ts'

const run = (text: string, more: Partial<Run> = {}): Run => ({ column: 0, text, bold: false, dim: false, ...more })

const draw = (...lines: Line[]): string =>
  drawFilm(
    {
      columns: 40,
      rows: 2,
      lines,
      scroll: [
        { fromMs: 0, top: 0 },
        { fromMs: 500, top: 3 },
      ],
      lengthMs: 1000,
    },
    'What <it> is',
  )

test('text is escaped, and the picture has a title', () => {
  const svg = draw({ row: 0, fromMs: 0, runs: [run('a < b && c')] })
  expect(svg).toContain('<title>What &lt;it&gt; is</title>')
  expect(svg).toContain('>a &lt; b &amp;&amp; c</tspan>')
})

test('what stays is to be seen without motion, and what goes is not', () => {
  const svg = draw(
    { row: 0, fromMs: 250, runs: [run('stays')] },
    { row: 1, fromMs: 250, toMs: 500, runs: [run('goes')] },
  )
  expect(svg).toMatch(
    /@keyframes (\w+)\{0%\{visibility:hidden\}25%\{visibility:visible\}\}[\s\S]*<g class="m" style="animation-name:\1">.*>stays</,
  )
  expect(svg).toMatch(
    /@keyframes (\w+)\{0%\{visibility:hidden\}25%\{visibility:visible\}50%\{visibility:hidden\}\}[\s\S]*<g class="m gone" style="animation-name:\1">.*>goes</,
  )
  expect(svg).toContain('.gone{visibility:hidden}')
  expect(svg).toContain('@media (prefers-reduced-motion:reduce){.m,.roll{animation:none}}')
})

test('at rest it has scrolled to its end', () => {
  expect(draw()).toContain('.roll{animation-name:roll;transform:translateY(-57px)}')
})

test('columns stand below one another whatever the font', () => {
  const svg = draw({ row: 0, fromMs: 0, runs: [run('ab', { column: 10, colour: '#ff7b72', bold: true })] })
  expect(svg).toContain('<tspan x="84" textLength="16.8" fill="#ff7b72" font-weight="700">ab</tspan>')
})
