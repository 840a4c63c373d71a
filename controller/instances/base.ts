import { type ContainerImage, pullSecretsOf } from '../../crds/container-image.ts'
import type { OverlayUse } from '../../crds/instance.ts'
import type { OverlayBase, PersistentOverlay } from '../../crds/persistent-overlay.ts'

/** The image that a pod is made from. */
export interface ChosenImage {
  base: OverlayBase
  /** What the ContainerImage stands for now, when the overlay keeps the instance on another. */
  drifted?: { reference: string; obstacle: string | undefined } | undefined
  /** The image that the overlay lies upon until this pod is granted: it follows. */
  leaves?: string | undefined
}

/** A secret that the node is to read the image with. */
export interface PullSecret {
  name: string
  /** Whether the pod starts without it too: what an overlay remembers may be gone by now. */
  optional: boolean
}

/** The overlay that is written, and how it is used. */
interface Written {
  overlay: PersistentOverlay
  use: OverlayUse
}

/** The image as an overlay's base; undefined while it is not resolved. */
const asBase = ({ spec, status }: ContainerImage): OverlayBase | undefined => {
  if (!status.resolved) return undefined
  const { reference, digest, platform, config } = status.resolved
  const pullSecrets = pullSecretsOf(spec.source)
  return { reference, digest, platform, config, ...(pullSecrets.length > 0 ? { pullSecrets } : {}) }
}

/** Why an overlay that is to follow cannot; undefined when it can. */
const obstacleTo = (wanted: OverlayBase, { platform: { os, architecture } }: OverlayBase): string | undefined => {
  const { platform } = wanted
  return platform.os === os && platform.architecture === architecture
    ? undefined
    : `it holds programs for ${os}/${architecture}, and the image is for ${platform.os}/${platform.architecture}`
}

/**
 * An overlay's files lie over the image that it was first written upon; over
 * another they would hide and mix. So the overlay that is written keeps its base,
 * also when the ContainerImage is gone, until it is told to follow.
 *
 * @param image the ContainerImage that the instance names, if it is there
 * @returns undefined when there is no image to start on
 */
export const chooseImage = (
  image: ContainerImage | undefined,
  written: Written | undefined,
): ChosenImage | undefined => {
  const wanted = image && asBase(image)
  const base = written?.overlay.status.base
  if (!base) return wanted && { base: wanted }
  if (!wanted) return { base }
  if (base.digest === wanted.digest) return { base: wanted }
  const follows = written.use.base === 'Follow'
  const obstacle = follows ? obstacleTo(wanted, base) : undefined
  return follows && obstacle === undefined
    ? { base: wanted, leaves: base.reference }
    : { base, drifted: { reference: wanted.reference, obstacle } }
}

/** What the ContainerImage names for its own image; for an earlier one what the overlay remembers, and then that too. */
export const pullSecretsFor = (image: ContainerImage | undefined, { base }: ChosenImage): PullSecret[] => {
  const named = image ? pullSecretsOf(image.spec.source) : []
  const isOwn = base.digest === image?.status.resolved?.digest
  if (isOwn) return named.map(({ name }) => ({ name, optional: false }))
  const names = new Set([...(base.pullSecrets ?? []), ...named].map(({ name }) => name))
  return [...names].map((name) => ({ name, optional: true }))
}
