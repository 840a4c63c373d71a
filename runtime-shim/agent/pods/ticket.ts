import { closeSync, mkdirSync, openSync, rmSync, unlinkSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { containers, ephemeralMountPath } from '../../../kube/names.ts'
import type { Pod } from '../../../kube/resources.ts'
import { flock, hasCode, lockKind } from '../../mount/syscalls.ts'
import { readJson, writeJson } from '../../node/json-file.ts'
import type { podPaths } from '../../node/layout.ts'
import { type Refusal, refusalSchema, type Ticket, ticketSchema } from '../../node/ticket.ts'
import type { Granted } from './chain.ts'

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
  node: { bootID: string; squashfs: string; imageUser: string },
): Ticket => {
  const { name, namespace, uid } = pod.metadata
  const podContext = pod.spec?.securityContext
  const mainContext = pod.spec?.containers.find((each) => each.name === containers.main)?.securityContext
  return {
    version: 1,
    pod: { namespace, name, uid },
    instance: { name: instance.metadata.name, uid: instance.metadata.uid },
    bootID: node.bootID,
    image: { reference: image.reference, digest: image.digest, squashfs: node.squashfs },
    overlays: overlays.map(({ size: _, ...overlay }) => overlay),
    ephemeral: ephemeral ? { mountPath: ephemeralMountPath } : null,
    user: userOf(pod, node.imageUser),
    podGroups: [
      ...(podContext?.supplementalGroups ?? []),
      ...(podContext?.fsGroup === undefined ? [] : [podContext.fsGroup]),
    ],
    imageGroups: podContext?.supplementalGroupsPolicy !== 'Strict',
    runAsNonRoot: mainContext?.runAsNonRoot ?? podContext?.runAsNonRoot ?? false,
  }
}

export const readTicket = ({ ticket }: PodPaths): Ticket | undefined => readJson(ticket, ticketSchema)

/** Writes it unless the same is there, and takes back the refusal before it. */
export const giveTicket = (paths: PodPaths, ticket: Ticket): void => {
  mkdirSync(paths.dir, { recursive: true })
  if (!isDeepStrictEqual(readTicket(paths), ticket)) writeJson(paths.ticket, ticket)
  rmSync(paths.refusal, { force: true })
}

export const refuse = (paths: PodPaths, refusal: Refusal): void => {
  mkdirSync(paths.dir, { recursive: true })
  if (!isDeepStrictEqual(readJson(paths.refusal, refusalSchema), refusal)) writeJson(paths.refusal, refusal)
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
