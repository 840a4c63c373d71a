import { expect, test } from 'vitest'
import { layoutOf } from './layout.ts'

const usual = { stateDir: '/tmp/lamina-1000', cacheDir: '/home/ada/.cache/lamina/images' }

test.each([
  ['nothing', {}, usual],
  ['nothing', { XDG_RUNTIME_DIR: '', XDG_CACHE_HOME: '' }, usual],
  ['no absolute path', { XDG_RUNTIME_DIR: 'run', XDG_CACHE_HOME: 'cache' }, usual],
  [
    'where to keep things',
    { XDG_RUNTIME_DIR: '/run/user/1000', XDG_CACHE_HOME: '/scratch/ada' },
    { stateDir: '/run/user/1000/lamina', cacheDir: '/scratch/ada/lamina/images' },
  ],
])("an ordinary user's places, where the environment says %s: %j", (_, env, places) => {
  expect(layoutOf({ HOME: '/home/ada', ...env }, 1000)).toMatchObject(places)
})

test("root's places are his own, whoever's the environment is", () => {
  expect(
    layoutOf({ HOME: '/home/ada', XDG_CACHE_HOME: '/home/ada/.cache', XDG_RUNTIME_DIR: '/run/user/1000' }, 0),
  ).toEqual({ stateDir: '/run/lamina/local', lockDir: '/run/lamina/locks', cacheDir: '/var/cache/lamina/images' })
})
