/** Writes everything in the repository that is made from something else in it. */
import { writeCrds } from '../crds/generate.ts'
import { writeHealthChecks } from '../gitops/generate.ts'

writeCrds()
writeHealthChecks()
