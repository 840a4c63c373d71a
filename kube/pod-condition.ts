import type { V1PodCondition } from '@kubernetes/client-node'
import type { Pod } from './resources.ts'

/** What a pod's status says under one type, of which it holds one each; undefined when it says nothing. */
export const podCondition = ({ status }: Pod, type: string): V1PodCondition | undefined =>
  status?.conditions?.find((condition) => condition.type === type)
