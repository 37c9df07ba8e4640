"""The relativistic discriminator: a key element missing from standard GAN. The relativistic average GAN.

Jolicoeur-Martineau. ICLR 2019, arXiv:1807.00734.

| paper                                                | here                                         |
|------------------------------------------------------|----------------------------------------------|
| Sec. 4.2: each kind against the average of the other | `adversarial="relativistic"`                 |
| RaLSGAN, RaHingeGAN                                  | `"relativistic[form=lsgan]"`, `[form=hinge]` |
| RSGAN: in pairs                                      | `"relativistic_pairing"`                     |
| the generator learns from real samples, too          | `gan.GAN.generator_loss`                     |

Departures: networks are the task's (the author's code has SNGAN's: `sngan[adversarial=relativistic,batch_size=32]`), and the loss is not
halved (see `losses.adversarial.relativistic`).
"""

from __future__ import annotations

import dataclasses

from bench.method import param
from methods.gan.gan import GAN


class RaGAN(GAN):
    """A critic that says how much more real a sample is than the other kind on average."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class HP(GAN.HP):
        """[code]: the values of the author's code for CIFAR-10, its "DCGAN setup"."""

        steps: int = param(100_000, "[code]")
        batch_size: int = param(32, "[code]")
        optimizer: str = param("adam[lr=2e-4,betas=(0.5,0.999)]", "[code]")
        adversarial: str = param("relativistic", "Sec. 4.2: RaSGAN")
        n_critic: int = param(1, "[code] critic steps an update")

    hp: HP
