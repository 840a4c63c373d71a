import type { BindArgument, OverlayArgument, UsualMount } from '../arguments.ts'
import type { Action } from '../command/choose.ts'
import type { Layout } from '../layout.ts'
import type { Inherited } from '../process/inherited.ts'

/** A container that is to be made of an image, and what is to run in it. */
export interface RunRequest {
  /** As it was typed. */
  image: string
  overlays: readonly OverlayArgument[]
  action: Action
  contain: boolean
  /** `--pid`. */
  ownProcesses: boolean
  without: readonly UsualMount[]
  binds: readonly BindArgument[]
  cleanEnvironment: boolean
  variables: readonly (readonly [string, string])[]
  /** `--pwd`. */
  workingDirectory: string | undefined
}

/** Whose it is, and where from. */
export interface Caller {
  uid: number
  home: string
  cwd: string
  env: NodeJS.ProcessEnv
  layout: Layout
  inherited: Inherited
}
