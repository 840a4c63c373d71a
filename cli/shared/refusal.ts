/** Something that the caller can put right. The message says what is wrong, and what to do; nobody wants a stack trace of it. */
export class Refusal extends Error {
  override name = 'Refusal'
}
