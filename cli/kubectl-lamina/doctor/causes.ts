import type { Finding } from './finding.ts'

/** An instance says of an image or an overlay that is in its way what that says itself, with its name before it. */
export const isSameCause = (ofInstance: Finding, ofPart: Finding): boolean => {
  if (ofInstance.level !== 'wrong' || ofPart.level !== 'wrong') return false
  const [reason = '', ...more] = ofPart.what.split(': ')
  const message = more.join(': ')
  const [, name = ''] = ofPart.subject.split('/')
  return (
    ofInstance.what.startsWith(`${reason}: `) &&
    ofInstance.what.includes(`"${name}"`) &&
    ofInstance.what.includes(message)
  )
}

const mostNames = 5

const namesOf = (findings: readonly Finding[]): string => {
  const subjects = findings.map(({ subject }) => subject)
  const more = subjects.length - mostNames
  return subjects.slice(0, mostNames).join(', ') + (more > 0 ? ` and ${more} more` : '')
}

/** What is in the way of several is told once, of the image or overlay, and with whom it keeps waiting. */
export const withCausesOnce = (ofInstances: readonly Finding[], ofParts: readonly Finding[]): Finding[] => {
  const repeated = new Set<Finding>()
  const parts = ofParts.map((part) => {
    const waiting = ofInstances.filter((each) => isSameCause(each, part))
    for (const each of waiting) repeated.add(each)
    return waiting.length === 0 ? part : { ...part, what: `${part.what} (${namesOf(waiting)} cannot start for it)` }
  })
  return [...ofInstances.filter((each) => !repeated.has(each)), ...parts]
}
