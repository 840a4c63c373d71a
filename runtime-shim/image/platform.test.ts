import { describe, expect, test } from 'vitest'
import { choosePlatform, formatPlatform, isFor, ownArchitecture } from './platform.ts'

const digestOf = (index: number): string => `sha256:${String(index).repeat(64)}`
const linux = (architecture: string, variant?: string) => ({
  os: 'linux',
  architecture,
  ...(variant === undefined ? {} : { variant }),
})
const indexOf = (...platforms: ({ os: string; architecture: string; variant?: string } | undefined)[]) => ({
  schemaVersion: 2 as const,
  manifests: platforms.map((platform, index) => ({ digest: digestOf(index), size: 1, platform })),
})

describe('of a multi-platform image, the one asked for', () => {
  test('is that with its processor', () => {
    const index = indexOf(linux('amd64'), linux('arm64', 'v8'), { os: 'windows', architecture: 'amd64' })
    expect(choosePlatform(index, linux('arm64'))?.digest).toBe(digestOf(1))
    expect(choosePlatform(index, { os: 'windows', architecture: 'amd64' })?.digest).toBe(digestOf(2))
    expect(choosePlatform(index, linux('s390x'))).toBeUndefined()
  })

  test('is the plain one, unless a variant is asked for', () => {
    const index = indexOf(linux('amd64', 'v3'), linux('amd64'), linux('arm', 'v6'), linux('arm', 'v7'))
    expect(choosePlatform(index, linux('amd64'))?.digest).toBe(digestOf(1))
    expect(choosePlatform(index, linux('amd64', 'v3'))?.digest).toBe(digestOf(0))
    expect(choosePlatform(index, linux('arm'))?.digest).toBe(digestOf(3))
    expect(choosePlatform(index, linux('arm', 'v6'))?.digest).toBe(digestOf(2))
    expect(choosePlatform(index, linux('arm', 'v5'))).toBeUndefined()
  })

  test('is never an attestation', () => {
    const index = indexOf({ os: 'unknown', architecture: 'unknown' }, undefined, linux('amd64'))
    expect(choosePlatform(index, linux('amd64'))?.digest).toBe(digestOf(2))
  })
})

test('64-bit ARM is v8, said or not', () => {
  expect(isFor(linux('arm64'), linux('arm64', 'v8'))).toBe(true)
  expect(isFor(linux('arm64', 'v8'), linux('arm64'))).toBe(true)
})

test("Node's names of processors become OCI's", () => {
  expect(['x64', 'arm64', 'ia32', 'ppc64', 'riscv64'].map((name) => ownArchitecture(name))).toEqual([
    'amd64',
    'arm64',
    '386',
    'ppc64le',
    'riscv64',
  ])
})

test('a platform is written as everywhere', () => {
  expect(formatPlatform(linux('arm', 'v7'))).toBe('linux/arm/v7')
  expect(formatPlatform(linux('amd64'))).toBe('linux/amd64')
})
