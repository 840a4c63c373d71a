import { closeSync, mkdirSync, openSync, rmSync, unlinkSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import * as z from 'zod/mini'
import { annotations, containers, ephemeralMountPath } from '../../../kube/names.ts'
import type { Pod } from '../../../kube/resources.ts'
import { hasCode } from '../../mount/error-code.ts'
import { flock, lockKind } from '../../mount/syscalls.ts'
import { currentBootID } from '../../node/boot.ts'
import { readJson, writeJson } from '../../node/json-file.ts'
import type { podPaths } from '../../node/layout.ts'
import { type Refusal, type Ticket, ticketSchema } from '../../node/ticket.ts'
import type { Granted } from './chain.ts'
import { signalNumber } from './stop-signal.ts'

type PodPaths = ReturnType<typeof podPaths>

/** Who the main container is to run as, in the words of the OCI image configuration's `User`. */
const userOf = ({ spec }: Pod, imageUser: string): string => {
  const main = spec?.containers.find(({ name }) => name === containers.main)?.securityContext
  const uid = main?.runAsUser ?? spec?.securityContext?.runAsUser
  const gid = main?.runAsGroup ?? spec?.securityContext?.runAsGroup
  const user = uid === undefined ? imageUser : String(uid)
  return gid === undefined ? user : `${user.split(':')[0] || '0'}:${gid}`
}

/** Leave to mount what was granted. */
export const ticketOf = (
  pod: Pod,
  { instance, image, overlays, ephemeral }: Granted,
  node: { bootID: string; imageUser: string },
): Ticket => {
  const { name, namespace, uid } = pod.metadata
  const podContext = pod.spec?.securityContext
  const mainContext = pod.spec?.containers.find((each) => each.name === containers.main)?.securityContext
  return {
    version: 1,
    pod: { namespace, name, uid },
    instance: { name: instance.metadata.name, uid: instance.metadata.uid },
    bootID: node.bootID,
    image,
    overlays: overlays.map(({ name, uid, access, mountPath, volumeMode, format, path, leaves }) => ({
      ...{ name, uid, access },
      ...{ mountPath, volumeMode, format, path, leaves },
    })),
    ephemeral: ephemeral ? { mountPath: ephemeralMountPath } : null,
    user: userOf(pod, node.imageUser),
    podGroups: [
      ...(podContext?.supplementalGroups ?? []),
      ...(podContext?.fsGroup === undefined ? [] : [podContext.fsGroup]),
    ],
    imageGroups: podContext?.supplementalGroupsPolicy !== 'Strict',
    runAsNonRoot: mainContext?.runAsNonRoot ?? podContext?.runAsNonRoot ?? false,
    stopSignal: signalNumber(pod.metadata.annotations[annotations.stopSignal] ?? '') ?? null,
  }
}

/** The pod's ticket that is there; one that another version of Lamina wrote, or before the last boot, counts for nothing. */
export const readTicket = ({ ticket }: PodPaths, podUID: string): Ticket | undefined => {
  const { success, data } = ticketSchema.safeParse(readJson(ticket, z.unknown()))
  return success && data.bootID === currentBootID() && data.pod.uid === podUID ? data : undefined
}

/**
 * Takes the ticket back. The runtime holds it while it mounts, until the mounts
 * are on record: who has it exclusively knows of all there are, and once it is
 * unlinked there come no more.
 *
 * @returns false while a mount is under way
 */
export const revokeTicket = (paths: PodPaths): boolean => {
  let fd: number
  try {
    fd = openSync(paths.ticket, 'r')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return true
    throw error
  }
  try {
    flock(fd, lockKind.exclusive, { wait: false })
    unlinkSync(paths.ticket)
    return true
  } catch (error) {
    if (hasCode(error, 'EAGAIN')) return false
    throw error
  } finally {
    closeSync(fd)
  }
}

/**
 * Writes the ticket and takes back the refusal before it. The same ticket stays
 * as it is; another is revoked first, for the runtime may hold it.
 *
 * @returns false while a mount by another ticket is under way
 */
export const giveTicket = (paths: PodPaths, ticket: Ticket): boolean => {
  mkdirSync(paths.dir, { recursive: true })
  rmSync(paths.refusal, { force: true })
  if (isDeepStrictEqual(readTicket(paths, ticket.pod.uid), ticket)) return true
  if (!revokeTicket(paths)) return false
  writeJson(paths.ticket, ticket)
  return true
}

/** Says why there is no ticket, for the runtime to repeat. */
export const refuse = (paths: PodPaths, refusal: Refusal): void => {
  mkdirSync(paths.dir, { recursive: true })
  writeJson(paths.refusal, refusal)
}
