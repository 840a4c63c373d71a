import { hasReason } from '../../kube/client.ts'

/** Undefined of what one may not read. */
export const ifAllowed = async <T>(answer: Promise<T>): Promise<T | undefined> => {
  try {
    return await answer
  } catch (error) {
    if (hasReason(error, 'Forbidden')) return undefined
    throw error
  }
}
