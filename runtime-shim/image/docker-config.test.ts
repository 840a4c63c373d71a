import { describe, expect, test } from 'vitest'
import { DockerConfigError, mergeDockerConfigs } from './docker-config.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const merged = (...configs: unknown[]): unknown =>
  JSON.parse(
    mergeDockerConfigs(configs.map((config) => (typeof config === 'string' ? config : JSON.stringify(config)))),
  )

describe('several pull secrets as one auth file', () => {
  test('every host is in it', () => {
    expect(
      merged({ auths: { 'a.example': { auth: 'QQ==' } } }, { auths: { 'b.example:5000': { auth: 'Qg==' } } }),
    ).toEqual({ auths: { 'a.example': { auth: 'QQ==' }, 'b.example:5000': { auth: 'Qg==' } } })
  })

  test('the first secret wins for a host, however the host is written', () => {
    expect(
      merged(
        { auths: { 'https://index.docker.io/v1/': { auth: 'Zmlyc3Q=' } } },
        { auths: { 'docker.io': { auth: 'c2Vjb25k' }, 'registry-1.docker.io': { auth: 'dGhpcmQ=' } } },
      ),
    ).toEqual({ auths: { 'docker.io': { auth: 'Zmlyc3Q=' } } })
  })

  test('credentials for a part of a registry stay apart', () => {
    expect(merged({ auths: { 'quay.io/team': { auth: 'QQ==' }, 'quay.io': { auth: 'Qg==' } } })).toEqual({
      auths: { 'quay.io/team': { auth: 'QQ==' }, 'quay.io': { auth: 'Qg==' } },
    })
  })

  test('user and password do without `auth`; a token is kept', () => {
    expect(
      merged({
        auths: {
          'a.example': { username: 'me', password: 'pass:word', email: 'me@a.example' },
          'b.example': { auth: 'QQ==', identitytoken: 'token' },
        },
      }),
    ).toEqual({
      auths: { 'a.example': { auth: base64('me:pass:word') }, 'b.example': { auth: 'QQ==', identitytoken: 'token' } },
    })
  })

  test('the older .dockercfg is hosts alone', () => {
    expect(merged({ 'https://a.example/v1/': { auth: 'QQ==', email: '' } })).toEqual({
      auths: { 'a.example': { auth: 'QQ==' } },
    })
  })

  test('programs that a secret names are not taken', () => {
    expect(merged({ auths: {}, credsStore: 'evil', credHelpers: { 'a.example': 'evil' } })).toEqual({ auths: {} })
    expect(merged({ credHelpers: { 'a.example': 'evil' } })).toEqual({ auths: {} })
  })

  test('no secret gives an empty file', () => {
    expect(merged()).toEqual({ auths: {} })
  })

  test.each([
    ['no JSON', 'not json: hunter2', /pull secret 2 of 2 is not JSON.*kubectl create secret docker-registry/],
    ['a list of hosts', '{"auths":["hunter2"]}', /pull secret 2 of 2 has no registry credentials at "auths"/],
    ['a number as password', '{"auths":{"a.example":{"password":1}}}', /at "auths\.a\.example\.password"/],
    ['a bare string', '"hunter2"', /is not JSON/],
  ])('%s is named, and what it holds is not shown', (_, text, message) => {
    const attempt = () => mergeDockerConfigs(['{"auths":{}}', text])
    expect(attempt).toThrow(DockerConfigError)
    expect(attempt).toThrow(message)
    expect(attempt).not.toThrow(/hunter2/)
    expect(attempt).toThrow(expect.objectContaining({ index: 1 }))
  })
})
