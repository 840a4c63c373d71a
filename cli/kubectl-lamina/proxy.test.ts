import { describe, expect, test } from 'vitest'
import { proxyFor } from './proxy.ts'

const server = new URL('https://api.example:6443')

describe('the proxy to a server', () => {
  test('is that of its scheme, in small letters or capitals; without a scheme of its own it is HTTP', () => {
    expect(proxyFor(server, { HTTPS_PROXY: 'http://proxy:3128', HTTP_PROXY: 'http://other' })).toBe('http://proxy:3128')
    expect(proxyFor(server, { https_proxy: 'socks5://proxy' })).toBe('socks5://proxy')
    expect(proxyFor(new URL('http://api.example'), { http_proxy: 'proxy:3128' })).toBe('http://proxy:3128')
    expect(proxyFor(server, { HTTP_PROXY: 'http://proxy', HTTPS_PROXY: '' })).toBeUndefined()
  })

  test.each([
    ['api.example', true],
    ['example', true],
    ['.example', true],
    ['*.example', true],
    ['.api.example', false],
    ['pi.example', false],
    ['api.example:6443', true],
    ['api.example:443', false],
    [' other , API.example ', true],
    ['*', true],
    ['', false],
    ['10.0.0.0/8', false],
  ])('of api.example:6443, NO_PROXY=%s leaves it out: %s', (NO_PROXY, isLeftOut) => {
    expect(proxyFor(server, { HTTPS_PROXY: 'http://proxy', NO_PROXY }) === undefined).toBe(isLeftOut)
  })

  test.each([
    ['https://10.1.2.3', '10.0.0.0/8', true],
    ['https://11.1.2.3', '10.0.0.0/8', false],
    ['https://10.1.2.3', '10.1.2.3', true],
    ['https://10.1.2.3:6443', '10.1.2.3:443', false],
    ['https://10.1.2.3', '1.2.3', false],
    ['https://10.1.2.3', '10.0.0.0/99', false],
    ['https://[fd00::1]:6443', 'fd00::/8', true],
    ['https://[fd00::1]:6443', '[fd00::1]:6443', true],
    ['https://[fd00::1]:6443', 'fd00::1', true],
    ['https://localhost:6443', '', true],
    ['https://127.8.9.1:6443', '', true],
    ['https://[::1]:6443', '', true],
  ])('of %s, NO_PROXY=%s leaves it out: %s', (url, NO_PROXY, isLeftOut) => {
    expect(proxyFor(new URL(url), { HTTPS_PROXY: 'http://proxy', NO_PROXY }) === undefined).toBe(isLeftOut)
  })
})
