import { ApiError } from '../../../kube/client.ts'
import type { Logger } from '../../../kube/log.ts'
import type { OverlayInUse } from './report.ts'

/** What the API server refuses for good must not keep the pod: it would keep its overlay from everyone. */
const isRefused = (error: unknown): boolean =>
  error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429 && error.status !== 401

/** Runs `report`, and goes on without it where the API server does not take it. */
export const tellUnlessRefused = async (
  log: Logger,
  { namespace, name }: Pick<OverlayInUse, 'namespace' | 'name'>,
  report: () => Promise<unknown>,
): Promise<void> => {
  try {
    await report()
  } catch (error) {
    if (!isRefused(error)) throw error
    log.warn({ err: error, kind: 'PersistentOverlay', namespace, name }, 'its state could not be told')
  }
}
