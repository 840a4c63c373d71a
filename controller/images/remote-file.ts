import { FileError } from '../../runtime-shim/image/errors.ts'
import { openUrl, type WebAnswer, type WebRequest } from '../../runtime-shim/image/https.ts'

export interface RemoteFile {
  /** Undefined when the server does not say. */
  sizeBytes: number | undefined
}

const silenceMs = 15_000

const sizeOf = ({ status, response: { headers } }: WebAnswer): number | undefined => {
  const text = status === 206 ? /\/(\d+)$/.exec(headers['content-range'] ?? '')?.[1] : headers['content-length']
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

/**
 * Whether a file is there, and its size, without fetching it: by HEAD, and where
 * a server does not answer that as it should, by GET of one byte.
 *
 * @param web how the server is reached, where that is not the usual way
 * @throws FileError
 */
export const lookAtFile = async (
  url: string,
  signal: AbortSignal,
  web: Partial<Pick<WebRequest, 'ca'>> = {},
): Promise<RemoteFile> => {
  const ask = async (how: Pick<WebRequest, 'method' | 'headers'>): Promise<RemoteFile> => {
    const answer = await openUrl(url, { ...how, signal, silenceMs, ...web })
    answer.response.destroy()
    return { sizeBytes: sizeOf(answer) }
  }
  try {
    return await ask({ method: 'HEAD' })
  } catch (error) {
    if (!(error instanceof FileError) || error.kind === 'NotFound') throw error
    return ask({ method: 'GET', headers: { range: 'bytes=0-0' } })
  }
}
