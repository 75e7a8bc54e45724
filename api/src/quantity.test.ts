import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Quantity, tryParseQuantity } from './quantity.ts';

describe('quantities', () => {
  const canonical: [string | number, string][] = [
    ['0', '0'],
    ['0Mi', '0'],
    ['-0', '0'],
    ['1', '1'],
    [2, '2'],
    [0.5, '500m'],
    ['0.5', '500m'],
    ['.5', '500m'],
    ['5.', '5'],
    ['+5', '5'],
    ['1000m', '1'],
    ['1500m', '1500m'],
    ['1000', '1k'],
    ['1024', '1024'],
    ['1000k', '1M'],
    ['0.1k', '100'],
    ['1Ki', '1Ki'],
    ['1024Ki', '1Mi'],
    ['1024Mi', '1Gi'],
    ['1.5Gi', '1536Mi'],
    ['1000Ki', '1000Ki'],
    ['0.5Ki', '512'],
    ['1.1Ki', '1127'],
    ['1e3', '1e3'],
    ['1000e0', '1e3'],
    ['1E3', '1e3'],
    ['1E', '1E'],
    ['1e-1', '100e-3'],
    ['100n', '100n'],
    ['0.1n', '1n'],
    ['-0.1n', '-1n'],
    ['1u', '1u'],
    ['0.0001', '100u'],
    ['-1500m', '-1500m'],
    ['-2Gi', '-2Gi'],
    ['9223372036854775807', '9223372036854775807'],
    ['8Ei', '8Ei'],
    ['00012', '12'],
  ];
  for (const [text, wanted] of canonical) {
    it(`writes ${JSON.stringify(text)} as ${wanted}`, () => {
      assert.equal(tryParseQuantity(text)?.toString(), wanted);
      assert.equal(tryParseQuantity(wanted)?.toString(), wanted, 'the canonical form is its own');
    });
  }

  it('refuses what Kubernetes refuses', () => {
    for (const text of [
      '',
      '.',
      'x',
      '1 Gi',
      '1gi',
      '1K',
      '1mi',
      '1e',
      '1e+',
      '--1',
      '1.2.3',
      '1KiB',
      'Ki',
      '0x10',
      'NaN',
      'Infinity',
      '1e1000000',
      '٣',
    ]) {
      assert.equal(tryParseQuantity(text)?.toString(), undefined, text);
      assert.throws(() => Quantity.parse(text), /quantities must match the regular expression/);
    }
  });

  it('rounds values up', () => {
    assert.equal(Quantity.parse('1500m').value(), 2);
    assert.equal(Quantity.parse('-1500m').value(), -1);
    assert.equal(Quantity.parse('100u').milliValue(), 1);
    assert.equal(Quantity.parse('2').milliValue(), 2000);
    assert.equal(Quantity.parse('1Gi').value(), 1024 ** 3);
    assert.equal(Quantity.parse('1100u').roundedToMilli().toString(), '2m');
  });

  it('compares and adds whatever the suffixes', () => {
    assert.equal(Quantity.parse('1').compare(Quantity.parse('1000m')), 0);
    assert.ok(Quantity.parse('1Gi').compare(Quantity.parse('1G')) > 0);
    assert.ok(Quantity.parse('-1').compare(Quantity.parse('0')) < 0);
    assert.equal(Quantity.parse('0.1').add(Quantity.parse('0.2')).toString(), '300m');
    assert.equal(Quantity.parse('1Gi').add(Quantity.parse('512Mi')).toString(), '1536Mi');
    assert.equal(new Quantity(0n).add(Quantity.parse('1Gi')).toString(), '1Gi');
    assert.equal(Quantity.parse('1Gi').subtract(Quantity.parse('1Gi')).toString(), '0');
  });
});
