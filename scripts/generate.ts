/** Writes everything in the repository that is made from something else in it. */
import { writeCrds } from '../crds/generate.ts'
import { writeReference } from '../crds/reference.ts'
import { writeHealthChecks } from '../gitops/generate.ts'
import { writeAlerts } from './docs/alerts.ts'
import { writeErrors } from './docs/errors.ts'

writeCrds()
writeReference()
writeHealthChecks()
writeAlerts()
writeErrors()
