import type { V1Status } from '@kubernetes/client-node'
import { exitCodes } from '../../shared/cli-error.ts'

/** How a remote command ended, as the status channel has it. */
export type Outcome =
  | { kind: 'exited'; exitCode: number }
  /** It was never started. */
  | { kind: 'notStarted'; exitCode: number; message: string; isProgramMissing: boolean }
  /** Nor could it be: the process of the container had ended. */
  | { kind: 'late' }

const missing = /executable file not found|no such file or directory/i

/** The runtime's own words, without those of all who passed them on. */
const innermost = (message: string): string =>
  (/unable to start container process: (.*)$/s.exec(message)?.[1] ?? message).trim()

/** What containerd and the kubelet say of a container whose process has ended meanwhile. */
const ended = /task \w+ not found|container not (?:found|running)|cannot exec in a stopped|init process is not running/i

const exitCodeIn = ({ details }: V1Status): number | undefined => {
  const told = details?.causes?.find(({ reason }) => reason === 'ExitCode')?.message
  return told === undefined ? undefined : Number(told)
}

export const outcomeOf = (status: V1Status): Outcome => {
  if (status.status === 'Success') return { kind: 'exited', exitCode: 0 }
  const exitCode = exitCodeIn(status)
  if (exitCode !== undefined) return { kind: 'exited', exitCode }
  const message = innermost(status.message ?? 'the cluster did not say why')
  if (ended.test(message)) return { kind: 'late' }
  const isProgramMissing = missing.test(message)
  const code = isProgramMissing
    ? exitCodes.notFound
    : /permission denied|exec format error/i.test(message)
      ? exitCodes.notExecutable
      : exitCodes.notStarted
  return { kind: 'notStarted', exitCode: code, message, isProgramMissing }
}
