import { hasReason } from './api-error.ts'
import type { KubeClient } from './client.ts'
import type { Clock } from './clock.ts'
import { type Lease, leases } from './resources.ts'

/** `expiry` is aborted when the lease as it was seen has stood its time. */
export type LockResult = { kind: 'held' } | { kind: 'other'; by: string; expiry?: AbortSignal }

/** A Lease as a lock that expires. Throws when the API server does not answer. */
export interface LeaseLock {
  /** Takes the lease when it is free, one's own, or expired. */
  tryAcquire(): Promise<LockResult>
  /** Says that the holder is alive. */
  renew(): Promise<LockResult>
  /** Gives the lease back, so that others need not wait for its end. */
  release(): Promise<void>
}

/** The API takes MicroTime with six digits only. */
const microTime = (clock: Clock): string => clock.now().toISOString().replace('Z', '000Z')

export const createLeaseLock = (options: {
  client: Pick<KubeClient, 'get' | 'create' | 'mergePatch'>
  namespace: string
  name: string
  identity: string
  leaseMs: number
  clock: Clock
}): LeaseLock => {
  const { client, namespace, name, identity, leaseMs, clock } = options
  const key = { namespace, name }
  const held: LockResult = { kind: 'held' }
  let resourceVersion = ''

  /**
   * What another holds expires when it has stood unchanged here for its whole
   * time, by a timer of our own: clocks of machines differ.
   */
  let observed: { resourceVersion: string; expiry: AbortSignal; forget: () => void } | undefined
  const observe = ({ metadata: { resourceVersion }, spec }: Lease): AbortSignal => {
    if (observed?.resourceVersion === resourceVersion) return observed.expiry
    observed?.forget()
    const expiry = new AbortController()
    const lasts = (spec?.leaseDurationSeconds ?? leaseMs / 1000) * 1000
    observed = { resourceVersion, expiry: expiry.signal, forget: clock.setTimeout(() => expiry.abort(), lasts) }
    return expiry.signal
  }

  const renewal = () => ({
    holderIdentity: identity,
    leaseDurationSeconds: Math.ceil(leaseMs / 1000),
    renewTime: microTime(clock),
  })
  const acquisition = (leaseTransitions: number) => ({
    ...renewal(),
    acquireTime: microTime(clock),
    leaseTransitions,
  })

  /** @returns whether the lease was as `version` says when it was written */
  const write = async (version: string, content: object): Promise<boolean> => {
    try {
      const lease = await client.mergePatch(leases, key, { metadata: { resourceVersion: version }, spec: content })
      if (lease === undefined) return false
      resourceVersion = lease.metadata.resourceVersion
      return true
    } catch (error) {
      if (hasReason(error, 'Conflict')) return false
      throw error
    }
  }

  const create = async (): Promise<LockResult> => {
    try {
      const lease = await client.create(leases, { metadata: { name, namespace }, spec: acquisition(0) }, namespace)
      resourceVersion = lease.metadata.resourceVersion
      return held
    } catch (error) {
      if (hasReason(error, 'AlreadyExists')) return { kind: 'other', by: 'another that was quicker' }
      throw error
    }
  }

  const tryAcquire: LeaseLock['tryAcquire'] = async () => {
    const lease = await client.get(leases, key)
    if (lease === undefined) return create()
    const holder = lease.spec?.holderIdentity || undefined
    const isOurs = holder === identity
    const expiry = holder === undefined || isOurs ? undefined : observe(lease)
    if (holder !== undefined && expiry?.aborted === false) return { kind: 'other', by: holder, expiry }
    const content = isOurs ? renewal() : acquisition((lease.spec?.leaseTransitions ?? 0) + 1)
    const written = await write(lease.metadata.resourceVersion, content)
    if (!written) return { kind: 'other', by: 'another that was quicker' }
    observed?.forget()
    return held
  }

  const renew: LeaseLock['renew'] = async () => {
    if (await write(resourceVersion, renewal())) return held
    // Someone else wrote: perhaps only a label.
    const lease = await client.get(leases, key)
    if (lease === undefined) return create()
    const holder = lease.spec?.holderIdentity ?? ''
    if (holder !== identity) return { kind: 'other', by: holder }
    const written = await write(lease.metadata.resourceVersion, renewal())
    return written ? held : { kind: 'other', by: 'unknown' }
  }

  const release: LeaseLock['release'] = async () => {
    // A renewal may still be under way: whichever is written second fails.
    for (let tries = 0; tries < 3; tries++) {
      const lease = await client.get(leases, key)
      if (lease?.spec?.holderIdentity !== identity) return
      const nobody = { holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime(clock) }
      if (await write(lease.metadata.resourceVersion, nobody)) return
    }
  }

  return { tryAcquire, renew, release }
}
