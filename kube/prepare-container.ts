import { containers } from './names.ts'
import type { Pod } from './resources.ts'

/** Whether the node agent goes over the pod's overlays before the mount, and the pod shows how far it is. */
export const hasPrepare = ({ spec }: Pod): boolean =>
  spec?.initContainers?.some(({ name }) => name === containers.prepare) ?? false
