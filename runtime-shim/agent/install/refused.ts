/** This node cannot run instances as it is. The message says why and what to change; it is shown on the Node. */
export class RefusedError extends Error {
  override name = 'RefusedError'
}
