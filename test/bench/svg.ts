/** What the plots of docs/plots have in common. */

export const colour = {
  met: '#2a7f62',
  missed: '#c0562f',
  grid: '#d8d8d8',
  one: '#808080',
  aim: '#3b6fb6',
  text: '#303030',
} as const

export const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

export const text = (at: { x: number; y: number; anchor?: 'start' | 'middle' | 'end' }, content: string): string =>
  `<text x="${at.x}" y="${at.y}" text-anchor="${at.anchor ?? 'start'}">${escapeXml(content)}</text>`

/** An SVG document with a white ground, and a title for those who do not see it. */
export const document = (
  { width, height }: { width: number; height: number },
  title: string,
  parts: readonly string[],
): string =>
  [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" fill="${colour.text}">`,
    `<title>${escapeXml(title)}</title>`,
    `<rect width="100%" height="100%" fill="white"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n')
