import type { ContainerImage } from '../../crds/container-image.ts'
import type { OverlayBase, PersistentOverlay } from '../../crds/persistent-overlay.ts'

type Resolved = NonNullable<ContainerImage['status']['resolved']>

/** The image that a pod is made from. */
export interface ChosenImage {
  base: OverlayBase
  /** What the ContainerImage stands for now, when the overlay keeps the instance on another. */
  drifted: string | undefined
}

/**
 * An overlay's files lie over the image that it was first written upon; over
 * another they would hide and mix. So the overlay that is written keeps its base.
 */
export const chooseImage = (
  { reference, digest, platform, config }: Resolved,
  written: PersistentOverlay | undefined,
): ChosenImage => {
  const base = written?.status.base
  if (!base || base.digest === digest) return { base: { reference, digest, platform, config }, drifted: undefined }
  return { base, drifted: reference }
}
