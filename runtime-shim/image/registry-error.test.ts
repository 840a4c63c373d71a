import { describe, expect, test } from 'vitest'
import { kindOf, registryError, wordsOf } from './registry-error.ts'

const log = (message: string): string => `time="2026-01-01T00:00:00Z" level=fatal msg=${JSON.stringify(message)}\n`

describe("skopeo's words", () => {
  test('are the message of its last line, without what repeats the command', () => {
    const stderr = log('first') + log('Error parsing image name "docker://h/n:t": reading manifest t: "quoted"')
    expect(wordsOf(stderr)).toBe('reading manifest t: "quoted"')
    expect(wordsOf('plain words\n')).toBe('plain words')
  })

  test('are the same each time: our own port is left out', () => {
    expect(wordsOf('read tcp 10.0.0.5:41234->10.0.0.9:443: connection reset\n')).toBe(
      'read tcp 10.0.0.5->10.0.0.9:443: connection reset',
    )
  })

  test.each([
    ['Unauthorized', 'reading manifest 12 in h/n: unauthorized: authentication required'],
    [
      'Unauthorized',
      'reading manifest latest in docker.io/no/such: errors:\ndenied: requested access to the resource is denied',
    ],
    ['Unauthorized', 'unable to retrieve auth token: invalid username/password: unauthorized'],
    ['Unauthorized', 'invalid status code from registry 403 (Forbidden)'],
    ['NotFound', 'reading manifest nope in h/n: manifest unknown: manifest unknown'],
    ['NotFound', 'reading manifest 1 in h/n: name unknown: repository name not known to registry'],
    [
      'Unreachable',
      'pinging container registry h: Get "https://h/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
    ],
    [
      'Unreachable',
      'pinging container registry h: Get "https://h/v2/": dial tcp: lookup h on 10.0.0.1:53: no such host',
    ],
    ['Unreachable', 'Get "https://h/v2/": x509: certificate signed by unknown authority'],
    ['Unreachable', 'Get "https://h/v2/": http: server gave HTTP response to HTTPS client'],
    ['Unreachable', 'Get "https://h/v2/": net/http: TLS handshake timeout'],
    ['Unreachable', 'toomanyrequests: You have reached your pull rate limit'],
    ['Unreachable', 'received unexpected HTTP status: 503 Service Unavailable'],
    ['NoSpace', 'writing blob: write /tmp/dir-put-blob1: no space left on device'],
    ['Refused', 'Source image rejected: A signature was required, but no signature exists'],
    ['Refused', 'Source image rejected: Running image docker://h/geoffrey:1 is rejected by policy.'],
    ['Unreachable', 'Source image rejected: Get "https://h/v2/": dial tcp 127.0.0.1:1: connect: connection refused'],
    ['Other', 'something else'],
  ])('mean %s: %s', (kind, words) => {
    expect(kindOf(words)).toBe(kind)
  })
})

describe('what is told of it', () => {
  const reference = { repository: 'registry.example/team/app', tag: '1', digest: undefined }
  const told = (words: string, hasCredentials: boolean, source: 'registry' | 'file' = 'registry') => {
    const access = { scratchDir: '/tmp', authFile: hasCredentials ? '/tmp/auth.json' : undefined }
    return registryError({ reference, source, access }, log(words)).message
  }

  test('without credentials: where they are to be named', () => {
    const message = told('unauthorized: authentication required', false)
    expect(message).toContain('"registry.example/team/app:1"')
    expect(message).toMatch(/name a Secret .* for registry\.example in spec\.source\.registry\.pullSecrets/)
  })

  test('of an artifact: the field that it has', () => {
    expect(told('unauthorized: authentication required', false, 'file')).toContain('in spec.source.file.pullSecrets')
  })

  test('with some: that they do not do', () => {
    expect(told('unauthorized: authentication required', true)).toMatch(
      /check that one of them is for registry\.example/,
    )
  })

  test('of a tag that is not there: what to look at', () => {
    expect(told('manifest unknown', true)).toMatch(/team\/app:1" is not in the registry .*check its name and tag/)
  })
})
