# Built by node-gyp, which every npm brings: scripts/build-native.mjs. The sources are listed in native/sources.txt.
{
  'target_defaults': {
    'include_dirs': ['native'],
    'cflags': ['-Wall', '-Wextra', '-Wshadow'],
    'cflags_cc!': ['-std=gnu++17', '-std=gnu++20'],
    'cflags_cc': ['-std=c++20', '-fno-exceptions'],
  },
  'targets': [
    {
      'target_name': 'wattle_sampler',
      'sources': ['<!@(sed -n "s/^core //p; s/^addon //p; s/^machine //p" native/sources.txt)'],
      'include_dirs': ['<!@(node -p "require(\'node-addon-api\').include_dir")'],
      'defines': ['NAPI_VERSION=9', 'NAPI_DISABLE_CPP_EXCEPTIONS'],
      'cflags_cc': ['-fvisibility=hidden'],
    },
    {
      # Static, because a prolog starts it for every job: no dynamic linking, nothing to find at run time.
      'target_name': 'wattle-hook',
      'type': 'executable',
      'product_extension': '',
      'sources': ['<!@(sed -n "s/^hook //p" native/sources.txt)'],
      'ldflags!': ['-rdynamic', '-pthread'],
      'ldflags': ['-static'],
    },
  ],
}
