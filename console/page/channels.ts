import * as z from 'zod'
import { apiErrorOf } from '../../kube/api-error.ts'

/** Frames of an exec's WebSocket, protocol v5: a byte that names the channel, and what goes over it. */

const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4 } as const

const encoder = new TextEncoder()
const decoder = new TextDecoder()

const frame = (number: number, content: Uint8Array): Uint8Array<ArrayBuffer> => {
  const bytes = new Uint8Array(content.length + 1)
  bytes[0] = number
  bytes.set(content, 1)
  return bytes
}

export const typedFrame = (text: string): Uint8Array<ArrayBuffer> => frame(channel.stdin, encoder.encode(text))

export const resizeFrame = ({ cols, rows }: { cols: number; rows: number }): Uint8Array<ArrayBuffer> =>
  frame(channel.resize, encoder.encode(JSON.stringify({ Width: cols, Height: rows })))

export interface Ending {
  words: string
  /** Whether it is another one than that somebody has left the shell. */
  isTrouble: boolean
}

export type Message = { kind: 'output'; bytes: Uint8Array } | { kind: 'ended'; ending: Ending } | { kind: 'none' }

const exitSchema = z.object({
  status: z.string().optional(),
  reason: z.string().optional(),
  details: z.object({ causes: z.array(z.object({ reason: z.string(), message: z.string() })).optional() }).optional(),
})

/** How the process ended, of the Status that comes last. */
const endingOf = (json: unknown): Ending => {
  const { status, reason, details } = exitSchema.parse(json)
  if (status === 'Success') return { words: 'The shell has ended.', isTrouble: false }
  const code = details?.causes?.find((cause) => cause.reason === 'ExitCode')?.message
  const words =
    reason === 'NonZeroExitCode' && code
      ? `The shell has ended with exit code ${code}.`
      : `The terminal has ended: ${apiErrorOf('exec', 500, json).words}`
  return { words, isTrouble: true }
}

export const readFrame = (data: ArrayBuffer): Message => {
  const bytes = new Uint8Array(data)
  const content = bytes.subarray(1)
  if (content.length === 0) return { kind: 'none' }
  if (bytes[0] === channel.stdout || bytes[0] === channel.stderr) return { kind: 'output', bytes: content }
  if (bytes[0] === channel.error) return { kind: 'ended', ending: endingOf(JSON.parse(decoder.decode(content))) }
  return { kind: 'none' }
}
