import type { Plugin } from 'esbuild'

/**
 * Of client-node the program uses what knows kubeconfigs, and what runs commands
 * in pods. All its modules together would be five times as large; and to find out
 * one by one which of them nobody uses takes ten seconds of a build.
 */
const used = `
export * from './config.js'
export * from './exec.js'`

/** What makes clients of its own, for which nobody asks. */
const leftOut = `
const leftOut = () => { throw new Error('left out of this bundle: kube/client.ts asks the API server') }
export { leftOut as createConfiguration, leftOut as ServerConfiguration }`

export const littleOfClientNode: Plugin = {
  name: 'little-of-client-node',
  setup(build) {
    const inPackage = (path: string): RegExp =>
      new RegExp(`[\\\\/]@kubernetes[\\\\/]client-node[\\\\/]dist[\\\\/]${path}$`)
    build.onLoad({ filter: inPackage('index\\.js') }, () => ({ contents: used }))
    build.onLoad({ filter: inPackage('gen[\\\\/]index\\.js') }, () => ({ contents: leftOut }))
  },
}
