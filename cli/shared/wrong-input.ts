/** What is typed by somebody who errs, the exit code, and what he is told: the tests try it, docs/errors.md shows it. */
export type WrongInput = readonly [typed: string, exitCode: number, told: string]

/** Those of one subject. */
export interface WrongInputs {
  about: string
  inputs: readonly WrongInput[]
}
