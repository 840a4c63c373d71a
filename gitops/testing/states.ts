import { statusAfterFailure } from '../../controller/tell-failure.ts'
import type { Condition } from '../../crds/common.ts'
import { apiVersion } from '../../kube/names.ts'
import type { Kstatus } from './kstatus.ts'
import type { Health } from './run-health.ts'

/** An object as the API server has it after a pass of the controller, and what tools are to make of it. */
export interface State {
  kind: 'ContainerImage' | 'PersistentOverlay' | 'Instance'
  /** In the name of its file among Argo CD's test data. */
  name: string
  object: Stored
  kstatus: Kstatus
  health: Health
}

export interface Stored {
  metadata: object & { generation?: number | undefined; deletionTimestamp?: string | undefined }
  spec: object
  status: object
}

/** When the passes were. */
export const now = new Date('2026-01-01T12:00:00Z')

/** In the order of a manifest. */
export const manifestOf = ({ kind, object: { metadata, spec, status } }: State) => ({
  apiVersion,
  kind,
  metadata,
  spec,
  status,
})

export const unseenMessage = 'Waiting for the controller to look at the spec'

/** Passes over it have failed for a while. */
export const failingOf = (
  kind: State['kind'],
  object: Omit<Stored, 'status'>,
  before: { observedGeneration?: number | undefined; conditions?: Condition[] | undefined },
): State => ({
  ...{ kind, name: 'failing', kstatus: 'InProgress' },
  object: { ...object, status: statusAfterFailure(before, new Error('nodes: forbidden'), { generation: 1, now }) },
  health: {
    status: 'Progressing',
    message: 'ReconcileError: the controller does not get through with it, and tries again: nodes: forbidden',
  },
})
