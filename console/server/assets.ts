import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { extname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { guards } from './answers.ts'

/** The page's files, in memory. */
export interface Asset {
  type: string
  zipped: Buffer
  /** Of the content, for `If-None-Match`. */
  tag: string
}

const types: ReadonlyMap<string, string> = new Map([
  ['.html', 'text/html; charset=utf-8'],
  ['.js', 'text/javascript; charset=utf-8'],
  ['.css', 'text/css; charset=utf-8'],
  ['.svg', 'image/svg+xml'],
])

/** By the path that they are served at. Files of other types are not. */
export const loadAssets = async (dir: string): Promise<ReadonlyMap<string, Asset>> => {
  const files = (await readdir(dir)).filter((file) => types.has(extname(file)))
  const assets = files.map(async (file): Promise<[string, Asset]> => {
    const content = await readFile(join(dir, file))
    const tag = `"${createHash('sha256').update(content).digest('base64url')}"`
    const asset = { type: types.get(extname(file)) ?? '', zipped: gzipSync(content), tag }
    return [file === 'index.html' ? '/' : `/${file}`, asset]
  })
  return new Map(await Promise.all(assets))
}

export const sendAsset = (
  { headers }: IncomingMessage,
  response: ServerResponse,
  { type, zipped, tag }: Asset,
): void => {
  const always = { ...guards, etag: tag, 'cache-control': 'no-cache' }
  if (headers['if-none-match'] === tag) response.writeHead(304, always).end()
  else response.writeHead(200, { ...always, 'content-type': type, 'content-encoding': 'gzip' }).end(zipped)
}
