import { expect, test } from 'vitest'
import { readSettings } from './settings.ts'

const given = { KUBERNETES_SERVICE_HOST: '10.0.0.1', CA_FILE: '/ca.crt', PAGE_DIR: '/page' }

test('what the pod has by itself is enough', () => {
  expect(readSettings(given)).toMatchObject({ apiServer: { host: '10.0.0.1', port: 443 }, port: 9809, origins: [] })
})

test.each([
  ['ORIGINS', '["https://console.example/"]'],
  ['ORIGINS', '["console.example"]'],
  ['PORT', 'http'],
  ['CA_FILE', ''],
])('%s=%s is refused by its name', (name, value) => {
  expect(() => readSettings({ ...given, [name]: value })).toThrow(name)
})
