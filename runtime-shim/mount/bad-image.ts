/** A file is damaged, or no image that can be mounted. The message is about "it", and does not name the file. */
export class BadImageError extends Error {
  override name = 'BadImageError'
  /** What is to be done about it, in the message too; undefined where that depends on where the file lies. */
  readonly remedy: string | undefined
  constructor(problem: string, remedy?: string) {
    super(remedy === undefined ? problem : `${problem}: ${remedy}`)
    this.remedy = remedy
  }
}
