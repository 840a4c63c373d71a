import type { Readable } from 'node:stream'
import type { StatusLine } from '../shared/status-line.ts'
import type { Connection } from './connection.ts'
import type { Interrupts } from './interrupts.ts'

/** What a command has to work with. */
export interface CommandContext {
  /** The cluster; asked for only by commands that need one. */
  connect(): Promise<Connection>
  /** Standard output: what was asked for. */
  print(text: string): void
  /** The same of a stream, to its end or Ctrl-C, as fast as it is read. */
  copy(stream: Readable): Promise<void>
  /** Standard error: how far it is. */
  status: StatusLine
  interrupts: Interrupts
}
