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
  /** `--fakeroot`: an ordinary user is root in his container; root is it anyway. */
  fakeroot: boolean
  /** `--pwd`. */
  workingDirectory: string | undefined
}

/** Whose it is, and where from. */
export interface Caller {
  /** On the host, whoever he is in a namespace of his own. */
  uid: number
  gid: number
  /** Not root: then mounts are those of a user namespace. */
  isUser: boolean
  /** In that namespace: the image's file, found outside of it. */
  located: string | undefined
  home: string
  cwd: string
  env: NodeJS.ProcessEnv
  layout: Layout
  inherited: Inherited
}
