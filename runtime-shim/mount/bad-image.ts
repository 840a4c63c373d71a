/** A file is damaged, or no image that can be mounted. The message is about "it", and does not name the file. */
export class BadImageError extends Error {
  override name = 'BadImageError'
}
