import { group } from './names.ts'
import type { OwnerReference } from './resource.ts'
import type { Pod } from './resources.ts'

/** The Instance that a pod names as its controller. It may be forged: only the uid of the living one proves it. */
export const instanceOwnerOf = ({ metadata }: Pod): OwnerReference | undefined =>
  metadata.ownerReferences.find(
    ({ apiVersion, kind, controller }) =>
      apiVersion.startsWith(`${group}/`) && kind === 'Instance' && controller === true,
  )
