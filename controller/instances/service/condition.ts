import { type ConditionVerdict, type Standing, verdict } from '../../conditions.ts'
import type { ServiceFinding } from './ensure.ts'

/** The condition ServiceReady, where a Service is asked for. */
export const serviceVerdicts = (service: ServiceFinding | undefined): ConditionVerdict[] => {
  switch (service?.kind) {
    case undefined:
      return []
    case 'there':
      return [verdict('ServiceReady', 'True', 'Applied')]
    case 'taken':
      return [verdict('ServiceReady', 'False', 'ServiceNameTaken', service.message)]
    case 'invalid':
      return [verdict('ServiceReady', 'False', 'ServiceInvalid', service.message)]
    case 'refused':
      return [verdict('ServiceReady', 'False', 'ServiceRefused', service.message)]
  }
}

/** An instance without the Service that it asks for is not as its spec asks; what is wrong with the instance itself comes first. */
export const standingWith = (service: ServiceFinding | undefined, standing: Standing): Standing => {
  if (standing.kind !== 'ready') return standing
  if (service?.kind === 'taken') return { kind: 'stalled', reason: 'ServiceNameTaken', message: service.message }
  if (service?.kind === 'invalid') return { kind: 'stalled', reason: 'ServiceInvalid', message: service.message }
  if (service?.kind === 'refused') return { kind: 'progressing', reason: 'ServiceRefused', message: service.message }
  return standing
}
